// configurable-http-proxy's own command line, with one thing added: a server is taken for the one it should be by the
// name of its job, which the hub tells with the route (shopfloor_spawners.encrypted). By itself the proxy would verify
// the Host header that the browser sent, or the address of the node, which other people's servers share.
//
// node proxy.mjs <directory of configurable-http-proxy> <its options>

import https from "node:https";
import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

const [directory] = process.argv.splice(2, 1);
const load = (...parts) => import(pathToFileURL(path.join(directory, ...parts)).href);
const { ConfigurableProxy } = await load("lib", "configproxy.js");

const { targetForReq, proxyOptsForTarget, addRoute, removeRoute } = ConfigurableProxy.prototype;
const agents = new Map(); // by name: connections are kept, and each is verified for one name

// With an empty name the address in the route is verified; else Node would take the Host header for the name.
function agentFor(name) {
  if (!agents.has(name)) {
    agents.set(name, new https.Agent({ keepAlive: true, servername: name }));
  }
  return agents.get(name);
}

Object.assign(ConfigurableProxy.prototype, {
  async targetForReq(req) {
    const match = await targetForReq.call(this, req);
    const route = match && (await this._routes.get(match.prefix));
    return route?.name ? { ...match, target: `${match.target}#${route.name}` } : match;
  },

  proxyOptsForTarget(target) {
    const options = proxyOptsForTarget.call(this, target);
    if (options.secure) {
      options.agent = agentFor(target.hash.slice(1));
      target.hash = "";
    }
    return options;
  },

  async addRoute(path, data) {
    const before = await this._routes.get(path);
    await addRoute.call(this, path, data);
    if (before?.name !== data.name) agents.delete(before?.name);
  },

  async removeRoute(path) {
    const before = await this._routes.get(path);
    await removeRoute.call(this, path);
    agents.delete(before?.name);
  },
});

await load("bin", "configurable-http-proxy");
