import { answersSection } from './answers';
import { comparisonSection } from './comparison';
import { read, type Model, type Page } from './data';
import { details, h } from './dom';
import { glance, header, warningsOf } from './header';
import { graphView } from './graph';
import { explanations, layersTable } from './layers';
import { memorySection } from './memory';
import { netOf, type Item } from './net';
import { largestOf, metricsOf } from './metrics';
import { panelOf } from './panel';
import { searchSection } from './search';
import { shrinkSection } from './shrink';
import { timeSection } from './time';

function theme(): void {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
}

function graphSection(model: Model): { section: HTMLElement; opened: (item: Item) => void; net: ReturnType<typeof netOf> } {
  const net = netOf(model);
  const panel = h('aside', { class: 'panel', 'aria-label': 'The chosen node', tabindex: '-1' });
  const first = metricsOf(net)[0];
  const worst = first && largestOf(first, net);
  if (worst) panel.append(h('p', { class: 'note' }, `${first.most}. Click another to see it here.`), panelOf(worst));
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
    h('p', { class: 'note' }, 'From top to bottom in the order of execution; the darker a box, the more it has of what is chosen here. ' +
      'A click on a box shows what is known of it, a click on a block folds or unfolds it. Ctrl and the wheel zoom.'),
    h('div', { class: 'graph-and-panel' }, view.element, panel),
    details('Nodes as a table', () => layersTable(net, opened)));
  return { section, opened, net };
}

/** A part that lies below what is seen at first. */
interface Below {
  id: string;
  title: string;
  make: () => HTMLElement;
}

/** All parts of one model, as far as its data are there: those that are seen at first, and the rest. */
function modelParts(model: Model, page: Page): { seen: HTMLElement[]; below: Below[] } {
  const { section, opened, net } = graphSection(model);
  const seen = [
    warningsOf(model), h('section', { id: 'glance' }, h('h2', { class: 'hidden' }, 'At a glance'), glance(model)),
    page.shrink ? shrinkSection(page.shrink) : null, explanations(net, opened), section,
  ].filter((p): p is HTMLElement => p !== null);
  const below: Below[] = [];
  const { answers, memory, latency } = model;
  if (answers) below.push({ id: 'answers', title: 'Where the answers differ', make: () => answersSection(model, answers, page.samples ?? []) });
  if (memory && model.nodes.length > 0) below.push({ id: 'memory', title: 'Memory over time', make: () => memorySection(model, memory, net, opened) });
  if (latency && model.nodes.length > 0) below.push({ id: 'time', title: 'Time', make: () => timeSection(latency, net, opened) });
  return { seen, below };
}

/** Once what is there so far is on the screen. A page that is not seen has no frames. */
function afterPaint(work: () => void): void {
  if (document.hidden) work();
  else requestAnimationFrame(() => setTimeout(work));
}

function draw(page: Page): void {
  const main = h('main', {});
  document.body.append(header(page, theme), main);
  const nav = h('nav', { 'aria-label': 'Parts of the page' });
  document.querySelector('header')!.append(nav);
  const shown = h('div', { id: 'model', tabindex: '-1' });
  const choose = (model: Model): void => {
    const { seen, below } = modelParts(model, page);
    const places = below.map(({ id, title }) => h('section', { id }, h('h2', {}, title)));
    shown.replaceChildren(...(page.models.length > 1 ? [h('h2', { id: 'chosen' }, `Recipe ${model.recipe}`)] : []), ...seen, ...places);
    const links = [...main.querySelectorAll('section[id] > h2:not(.hidden)')];
    nav.replaceChildren(...links.map((title) => h('a', { href: `#${title.parentElement!.id}` }, title.textContent)));
    delete document.documentElement.dataset.drawn;
    const go = (i: number): void => {
      if (i < below.length) {
        // Another model has been chosen since.
        if (!places[i].isConnected) return;
        places[i].replaceWith(below[i].make());
        afterPaint(() => go(i + 1));
        return;
      }
      document.documentElement.dataset.drawn = 'true';
      performance.mark('whole');
    };
    afterPaint(() => go(0));
  };
  const show = (model: Model): void => {
    choose(model);
    shown.scrollIntoView();
    shown.focus({ preventScroll: true });
  };
  if (page.search) main.append(searchSection(page.search, page.models, show));
  else if (page.models.length > 1) main.append(comparisonSection(page, show));
  main.append(shown);
  choose(page.models[0]);
}

draw(read());
performance.mark('seen');
