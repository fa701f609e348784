/** Shopfloor's marks as Lab icons; drawn here, in Lab's icon colours. */

import { LabIcon } from '@jupyterlab/ui-components';

/** A saw-tooth roof, the sign of a shop floor, over three machines. */
export const jobsIcon = new LabIcon({
  name: 'shopfloor:jobs',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3 jp-icon-selectable" fill="#616161">
    <path d="M3 11V7.2L8 4v3.2L13 4v3.2L18 4h3v7z"/>
    <path d="M3 13h4.7v7H3zM9.65 13h4.7v7h-4.7zM16.3 13H21v7h-4.7z"/>
  </g>
</svg>`
});

/** The same roof over a page. */
export const examplesIcon = new LabIcon({
  name: 'shopfloor:examples',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M3 10V6.2L8 3v3.2L13 3v3.2L18 3h3v7z"/>
    <path fill-rule="evenodd" d="M3 12h18v9H3zm3 2v1.6h12V14zm0 3.4V19h8v-1.6z"/>
  </g>
</svg>`
});

/** A curve and its axes. */
export const plotIcon = new LabIcon({
  name: 'shopfloor:plot',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3 jp-icon-selectable" fill="#616161">
    <path d="M3 3h2v16h16v2H3z"/>
    <path d="M7 15.6l4-5.2 3.4 3 5-7 1.6 1.2-6.3 8.7-3.4-3-2.7 3.5z"/>
  </g>
</svg>`
});

/** A kernel's own logo, from where the server has it. */
export function logoIcon(kernel: string, url: string): LabIcon {
  const image = document.createElementNS('http://www.w3.org/2000/svg', 'image');
  image.setAttribute('href', url);
  image.setAttribute('width', '64');
  image.setAttribute('height', '64');
  return new LabIcon({
    name: `shopfloor:kernel-${kernel}`,
    svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 64 64">${new XMLSerializer().serializeToString(image)}</svg>`
  });
}
