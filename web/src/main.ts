import { comparisonSection } from './comparison';
import { read, type Model, type Page } from './data';
import { details, h } from './dom';
import { glance, header, warningsOf } from './header';
import { graphView } from './graph';
import { explanations, layersTable } from './layers';
import { memorySection } from './memory';
import { netOf, type Item } from './net';
import { panelOf } from './panel';
import { timeSection } from './time';

function theme(): void {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
}

function graphSection(model: Model): { section: HTMLElement; opened: (item: Item) => void; net: ReturnType<typeof netOf> } {
  const net = netOf(model);
  const panel = h('aside', { class: 'panel', 'aria-label': 'The chosen node', tabindex: '-1' },
    h('p', { class: 'note' }, 'Click a node to see all that is known of it; click a block to fold or unfold it. Ctrl and the wheel zoom.'));
  const opened = (item: Item): void => {
    panel.replaceChildren(
      h('button', { type: 'button', class: 'back', click: () => section.scrollIntoView() }, 'Back to the graph'), panelOf(item));
    view.select(item.index);
    panel.scrollTop = 0;
    // On a phone it stands below; from a table it is far away.
    const seen = panel.getBoundingClientRect();
    if (seen.top > innerHeight - 80 || seen.bottom < 80) panel.scrollIntoView({ block: 'start' });
  };
  const view = graphView(net, opened);
  const section = h('section', { id: 'graph' }, h('h2', {}, 'Network'),
    h('div', { class: 'graph-and-panel' }, view.element, panel),
    details('Nodes as a table', () => layersTable(net, opened)));
  return { section, opened, net };
}

/** All parts of one model, as far as its data are there. */
export function modelParts(model: Model): HTMLElement[] {
  const { section, opened, net } = graphSection(model);
  const parts: (HTMLElement | null)[] = [
    warningsOf(model), h('section', { id: 'glance' }, h('h2', { class: 'hidden' }, 'At a glance'), glance(model)), explanations(net, opened), section,
    model.memory && model.nodes.length > 0 ? memorySection(model, model.memory, net, opened) : null,
    model.latency && model.nodes.length > 0 ? timeSection(model.latency, net, opened) : null,
  ];
  return parts.filter((p): p is HTMLElement => p !== null);
}

function draw(page: Page): void {
  const main = h('main', {});
  document.body.append(header(page, theme), main);
  const nav = h('nav', { 'aria-label': 'Parts of the page' });
  document.querySelector('header')!.append(nav);
  const shown = h('div', { id: 'model', tabindex: '-1' });
  const choose = (model: Model): void => {
    shown.replaceChildren(...(page.models.length > 1 ? [h('h2', { id: 'chosen' }, `Recipe ${model.recipe}`)] : []), ...modelParts(model));
    const links = [...main.querySelectorAll('section[id] > h2:not(.hidden)')];
    nav.replaceChildren(...links.map((title) => h('a', { href: `#${title.parentElement!.id}` }, title.textContent)));
  };
  if (page.models.length > 1)
    main.append(comparisonSection(page, (model) => {
      choose(model);
      shown.scrollIntoView();
      shown.focus({ preventScroll: true });
    }));
  main.append(shown);
  choose(page.models[0]);
}

draw(read());
document.documentElement.dataset.drawn = 'true';
