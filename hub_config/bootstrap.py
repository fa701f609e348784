"""Sets up .venv and runs a command from it; the standard library only, for it runs before anything is installed.

Even Python 3.6 must be able to parse this file, so that it can say that it is too old.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - whoever reads this may be older
    sys.exit(
        "shopfloor: Python 3.10 or newer is needed; {} is {}.{}. On Debian or Ubuntu: apt-get install"
        " python3 python3-venv, then: make PYTHON=/usr/bin/python3 …".format(
            sys.executable, *sys.version_info[:2]
        )
    )

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
BIN = VENV / "bin"
LOG = VENV / "setup.log"
PROXY = "configurable-http-proxy@^5"
EXTENSION = ROOT / "extensions"
BUILT_FROM = ("src", "style", "schema", "package.json", "package-lock.json", "tsconfig.json")
NO_NETWORK = re.compile(
    "Temporary failure in name resolution|Name or service not known|Network is unreachable"
    "|Failed to establish a new connection|Max retries exceeded|Connection refused|Read timed out"
    "|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ECONNRESET",
    re.IGNORECASE,
)
NO_SPACE = re.compile("No space left on device|ENOSPC|Disk quota exceeded", re.IGNORECASE)
INDEPENDENT = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_REQUIRE_VIRTUALENV": "0"}
FOREIGN = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "PIP_USER", "PIP_TARGET", "PIP_PREFIX")


class Failed(Exception):
    """Set-up cannot go on; the text says why and what to do."""


def main(arguments):
    verb, rest = arguments[0], arguments[1:]
    os.chdir(ROOT)
    set_up(with_tests=verb in ("test", "faults", "bench", "lint"))
    if verb == "test":
        return test(rest)
    if verb == "faults":
        return faults()
    if verb == "bench":
        return bench(rest)
    if verb == "lint":
        return lint()
    # Replaced, not waited for: a signal to make's child is then a signal to the command itself.
    os.execv(BIN / "python", [str(BIN / "python"), "-m", "shopfloor_hub.cli", verb, *rest])


# Setting up: each step is stamped with what it was made from, so that only what changed is done again.


def set_up(with_tests):
    began = time.monotonic()
    make_venv()
    with locked():
        steps = Steps()
        projects = [ROOT / "pyproject.toml", EXTENSION / "pyproject.toml"]
        steps.run("build tools", projects, install_build_tools)
        node = threading.Thread(target=steps.attempt, args=(build_with_node, steps))
        node.start()
        steps.attempt(steps.run, "Python packages", projects, install_packages)
        node.join()
        steps.raise_first()
        # Lab serves the copy of the panel that pip made, so a new panel is a new installation.
        sources = [EXTENSION / name for name in BUILT_FROM]
        steps.run("Lab extension", [projects[1], *sources], install_extension)
        if with_tests:
            steps.run("test packages", [projects[0]], install_test_packages)
        others = {name: stamp for name, stamp in steps.stamps.items() if name != "bytecode"}
        steps.run("bytecode", [others], compile_bytecode)
        if steps.done:
            say(f"set up in {time.monotonic() - began:.0f} s")


class Steps:
    """What was done already, by name; the record is written after each step, so an interruption loses one."""

    def __init__(self):
        self.path = VENV / "steps.json"
        self.done = 0
        self.failures = []
        self.lock = threading.Lock()
        with contextlib.suppress(OSError, ValueError):
            self.stamps = dict(json.loads(self.path.read_text()))
            return
        self.stamps = {}

    def run(self, name, inputs, action, made=None):
        """Do a step unless it was done with the same inputs and what it ``made`` is still there."""
        stamp = digest(inputs)
        if self.stamps.get(name) == stamp and (made is None or made.exists()):
            return
        began = time.monotonic()
        say(f"{name} …")
        action()
        with self.lock:
            self.stamps[name] = stamp
            self.done += 1
            temporary = self.path.with_suffix(".new")
            temporary.write_text(json.dumps(self.stamps, indent=1))
            temporary.replace(self.path)
        say(f"{name}: {time.monotonic() - began:.0f} s")

    def attempt(self, action, *arguments):
        """Run one of several things at a time; what goes wrong is raised when all are through."""
        try:
            action(*arguments)
        except (Failed, OSError) as error:
            self.failures.append(error)

    def raise_first(self):
        if self.failures:
            raise self.failures[0]


def digest(inputs):
    """One value for the contents of files and folders, and for plain values."""
    total = hashlib.sha256(str(sys.version_info[:2]).encode())
    for one in inputs:
        if not isinstance(one, Path):
            total.update(json.dumps(one, sort_keys=True).encode())
            continue
        files = sorted(path for path in one.rglob("*") if path.is_file()) if one.is_dir() else [one]
        for path in files:
            total.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def make_venv():
    base = base_python()
    wanted = subprocess.run(
        [base, "-c", "import sys; print(sys.version_info[:2], sys.base_prefix)"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    record = VENV / "python.txt"
    with contextlib.suppress(OSError):
        if record.read_text() == wanted and (BIN / "pip").exists():
            return
    if subprocess.run([base, "-c", "import venv, ensurepip"], stderr=subprocess.DEVNULL).returncode:
        raise Failed(
            f"{base} has no venv module. On Debian or Ubuntu: apt-get install python3-venv"
        )
    say(f"virtualenv with {base} …")
    shutil.rmtree(VENV, ignore_errors=True)
    done = subprocess.run(
        [base, "-m", "venv", str(VENV)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise Failed(explain("python -m venv", done.stdout.decode(errors="replace")))
    record.write_text(wanted)


def base_python():
    """The Python that the virtualenv links to: as root the system's, for other users cannot read root's own."""
    system = "/usr/bin/python3"
    if os.geteuid() == 0 and not os.environ.get("SHOPFLOOR_PYTHON") and Path(system).exists():
        new_enough = "import sys; sys.exit(sys.version_info < (3, 10))"
        if subprocess.run([system, "-c", new_enough]).returncode == 0:
            return system
    return os.environ.get("SHOPFLOOR_PYTHON") or sys.executable


@contextlib.contextmanager
def locked():
    with (VENV / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another set-up of this checkout …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install_build_tools():
    run([pip(), "install", *read_project(ROOT)["requires"], *read_project(EXTENSION)["requires"],
         "editables"])  # fmt: skip


def install_packages():
    extension = read_project(EXTENSION)
    own = [one for one in extension["dependencies"] if not re.match(r"shopfloor\b", one)]
    editable = [pip(), "install", "--no-build-isolation", "--no-compile", "-e"]
    run([*editable, ".[hub]", *own, *extension["examples"]])


def install_test_packages():
    run(
        [
            pip(),
            "install",
            "--no-build-isolation",
            "--no-compile",
            "-e",
            ".[hub,oidc,postgresql,test]",
        ]
    )


def build_with_node(steps):
    def install_proxy():
        run([npm(), "install", "--global", "--prefix", str(VENV), "--no-audit", "--no-fund", PROXY])

    def fetch():
        run([npm(), "ci", "--no-audit", "--no-fund"], EXTENSION)

    def build():
        run([npm(), "run", "build"], EXTENSION)

    steps.run("proxy", [PROXY], install_proxy)
    locks = [EXTENSION / "package.json", EXTENSION / "package-lock.json"]
    # These two lie outside .venv, where somebody may have removed them.
    fetched = EXTENSION / "node_modules" / ".package-lock.json"
    steps.run("JavaScript packages", locks, fetch, made=fetched)
    built = EXTENSION / "shopfloor_lab" / "labextension" / "package.json"
    steps.run("Lab panel", [EXTENSION / name for name in BUILT_FROM], build, made=built)


def install_extension():
    run([pip(), "install", "--no-build-isolation", "--no-deps", "-e", str(EXTENSION)])


def compile_bytecode():
    command = [str(BIN / "python"), "-m", "compileall", "-q", "-j", "0", str(VENV / "lib")]
    # Some packages ship files that are templates or for another Python; those do not compile, and need not.
    with LOG.open("ab") as log:
        subprocess.run(command, stdout=log, stderr=log, check=False)


def read_project(directory):
    """``requires``, ``dependencies`` and ``examples`` of a pyproject.toml, read with the TOML of Python or pip."""
    script = (
        "import json, sys\n"
        "try:\n import tomllib\nexcept ImportError:\n from pip._vendor import tomli as tomllib\n"
        "data = tomllib.load(open(sys.argv[1], 'rb'))\n"
        "project = data['project']\n"
        "extras = project.get('optional-dependencies', {})\n"
        "print(json.dumps({'requires': data['build-system']['requires'],"
        " 'dependencies': project.get('dependencies', []), 'examples': extras.get('examples', [])}))"
    )
    output = run([str(BIN / "python"), "-c", script, str(directory / "pyproject.toml")])
    return json.loads(output)


def pip():
    return str(BIN / "pip")


def npm():
    return str(BIN / "npm")


def run(command, directory=ROOT):
    """Run a command of the set-up and return what it prints. Raises Failed with a sentence."""
    environment = {key: value for key, value in os.environ.items() if key not in FOREIGN}
    environment.update(INDEPENDENT, PATH="{}:{}".format(BIN, os.environ.get("PATH", os.defpath)))
    done = subprocess.run(
        command,
        cwd=str(directory),
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    output, complaint = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    with LOG.open("a") as log:
        log.write("$ {}\n{}{}".format(" ".join(command), output, complaint))
    if done.returncode:
        raise Failed(explain(" ".join([Path(command[0]).name, *command[1:2]]), complaint + output))
    return output


def explain(what, output):
    """What went wrong in a command of the set-up, in one sentence where it is one of the usual things."""
    if NO_SPACE.search(output):
        return f"The disk of {ROOT} is full; make room and run the same command again."
    if NO_NETWORK.search(output):
        return (
            f"{what} could not reach its package index; set-up needs the network, or a mirror"
            " (PIP_INDEX_URL, npm_config_registry). Run the same command again then."
        )
    last = "\n".join(output.strip().splitlines()[-15:])
    return f"{what} failed; everything it printed is in {LOG}:\n{last}"


def say(sentence):
    print(f"shopfloor: {sentence}", flush=True)


# What needs the virtualenv but is no command of Shopfloor's own.


def test(arguments):
    only = os.environ.get("ONLY", "")
    if only not in ("", "local"):
        raise Failed(f"ONLY={only} is not possible: it is empty or local")
    local = only == "local"
    left_out = []
    if local:
        left_out.append("slurm")
        if not any(
            shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")
        ):
            left_out.append("browser")
    else:
        install_debian_packages()
    # Every command of the tests' finds what .venv has first, as it does for a person who activated it.
    environment = dict(os.environ, PATH="{}:{}".format(BIN, os.environ.get("PATH", os.defpath)))
    command = [str(BIN / "python"), "-m", "pytest"]
    if not local and not arguments:
        return test_side_by_side(command, environment)
    marks = " and ".join("not " + name for name in left_out)
    command += [*(["-m", marks] if marks else []), *arguments]
    status = subprocess.run(command, env=environment).returncode
    if left_out:
        say("left out: the tests marked {}".format(", ".join(left_out)))
    return status


def test_side_by_side(command, environment):
    """Everything: tests on Slurm mostly wait, so the others run meanwhile, and print when they are done."""
    on_slurm, browser, rest = (
        [*command, "-m", f"{one} and not fault_long"]
        for one in ("slurm", "browser and not slurm", "not browser and not slurm")
    )
    with contextlib.ExitStack() as stack:
        meanwhile = []
        for what, one in (("in the browser, without Slurm", browser), ("without both", rest)):
            printed = stack.enter_context(tempfile.TemporaryFile())
            process = subprocess.Popen(one, env=environment, stdout=printed, stderr=printed)
            meanwhile.append((what, printed, process))
        try:
            status = subprocess.run(on_slurm, env=environment).returncode
        finally:
            for what, printed, process in meanwhile:
                process.wait()  # Ctrl-C reaches it as well, and it clears up
                say(f"the tests {what}, which ran meanwhile:")
                printed.seek(0)
                sys.stdout.write(printed.read().decode(errors="replace"))
    return status or next((one.returncode for _, _, one in meanwhile if one.returncode), 0)


def faults():
    if not re.fullmatch(r"\d*", os.environ.get("TIMES", "")):
        raise Failed("TIMES={} is not possible: a whole number".format(os.environ["TIMES"]))
    install_debian_packages()
    module = "tests.faults.stock" if os.environ.get("STOCK") else "tests.faults"
    return subprocess.run([str(BIN / "python"), "-m", module]).returncode


def install_debian_packages():
    listed = (ROOT / "tests" / "cluster" / "requirements.apt").read_text().splitlines()
    wanted = [line.split("#")[0].strip() for line in listed if line.split("#")[0].strip()]
    if not shutil.which("dpkg-query"):
        check_cluster_can_run()
        return
    missing = [name for name in wanted if not is_installed(name)]
    if not missing:
        return
    if os.geteuid() != 0:
        raise Failed(
            "Tests and benchmarks on a real Slurm need root and these packages: {}. As root, they are"
            " installed by themselves; tests without Slurm: make test ONLY=local".format(
                " ".join(missing)
            )
        )
    say("apt-get install {} …".format(" ".join(missing)))
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run(["apt-get", "update", "--quiet"])
    run(["apt-get", "install", "--quiet", "--yes", "--no-install-recommends", *missing])


def is_installed(package):
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    return done.stdout == b"installed"


def check_cluster_can_run():
    script = "from tests.cluster import errors, requirements\n" "try:\n requirements.check()\n" \
             "except errors.ClusterError as error:\n raise SystemExit(str(error))"  # fmt: skip
    done = subprocess.run([str(BIN / "python"), "-c", script], stderr=subprocess.PIPE)
    if done.returncode:
        sentence = done.stderr.decode(errors="replace").strip()
        raise Failed(f"{sentence} Without: make test ONLY=local")


def bench(arguments):
    known = sorted(
        path.stem for path in (ROOT / "tests" / "benchmarks").glob("*.py") if path.stem[0] != "_"
    )
    if not arguments or arguments[0] not in known:
        raise Failed("make bench NAME=…: one of {}".format(", ".join(known) or "none yet"))
    install_debian_packages()
    module = "tests.benchmarks." + arguments[0]
    return subprocess.run([str(BIN / "python"), "-m", module, *arguments[1:]]).returncode


def lint():
    ruff = str(BIN / "ruff")
    failed = subprocess.run([ruff, "check", "."]).returncode
    failed |= subprocess.run([ruff, "format", "--check", "."]).returncode
    path = "{}:{}".format(BIN, os.environ.get("PATH", os.defpath))
    script = [npm(), "run", "--silent", "lint:check"]
    failed |= subprocess.run(script, cwd=str(EXTENSION), env=dict(os.environ, PATH=path)).returncode
    return failed


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failed as failure:
        sys.exit(f"shopfloor: {failure}")
    except KeyboardInterrupt:
        sys.exit("\nshopfloor: interrupted; run the same command again to go on from here.")
    except OSError as failure:
        if failure.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        sys.exit("shopfloor: " + explain("set-up", os.strerror(errno.ENOSPC)))
