"""What a person sees of Dask's plots in Lab's panes: found by title, judged by what is drawn."""

from __future__ import annotations

from playwright.sync_api import Frame, Page, expect

# What the page drew of the tasks: names in bokeh's data, and pixels that are not the background's.
TASKS = """() => Bokeh.documents
  .flatMap(one => [...one._all_models.values()])
  .flatMap(({data}) => [...((data instanceof Map ? data.get('name') : data?.name) ?? [])])
  .filter(name => name === 'lambda').length"""
PIXELS = """() => {
  const find = root => [...root.querySelectorAll('*')].flatMap(
    one => [...(one.tagName === 'CANVAS' ? [one] : []), ...(one.shadowRoot ? find(one.shadowRoot) : [])]);
  const colours = new Set();
  for (const canvas of find(document)) {
    if (!canvas.width || !canvas.height) continue;
    const copy = document.createElement('canvas');
    [copy.width, copy.height] = [canvas.width, canvas.height];
    const context = copy.getContext('2d');
    context.drawImage(canvas, 0, 0);
    const {data} = context.getImageData(0, 0, copy.width, copy.height);
    for (let at = 0; at < data.length; at += 4) colours.add(data.slice(at, at + 4).join());
  }
  return colours.size;
}"""


def pane(page: Page, title: str) -> Frame:
    """The page in the pane of this plot, once it has drawn itself."""
    shown = page.locator(".shopfloor-Plot.shopfloor-mod-shown").filter(
        has=page.locator(f'iframe[title="{title}"]')
    )
    expect(shown).to_be_visible()
    frame = shown.locator("iframe").element_handle().content_frame()
    assert frame is not None
    return frame


def wait_for_tasks(frame: Frame) -> None:
    frame.wait_for_function(f"() => ({TASKS})() > 50 && ({PIXELS})() > 8", timeout=30_000)
