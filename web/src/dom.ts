// Elements are made by these alone: text is always text, so that no name of a model becomes markup.

export type Child = Node | string | number | null | undefined | false;
type Value = string | number | boolean | null | undefined | EventListener;
export type Attributes = Record<string, Value>;

function fill<E extends Element>(element: E, attributes: Attributes, children: Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children)
    if (child !== null && child !== undefined && child !== false)
      element.append(child instanceof Node ? child : String(child));
  return element;
}

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), attributes, children);
}

export function s<K extends keyof SVGElementTagNameMap>(
  tag: K, attributes: Attributes = {}, ...children: Child[]): SVGElementTagNameMap[K] {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

/** Says to screen readers what happened. */
export function announce(text: string): void {
  let live = document.getElementById('live');
  if (!live) {
    live = h('div', { id: 'live', role: 'status', class: 'hidden' });
    document.body.append(live);
  }
  live.textContent = text;
}

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // not granted, or an old browser
    const area = h('textarea', { class: 'hidden', 'aria-hidden': 'true' });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
}

export function copyButton(label: string, text: () => string): HTMLButtonElement {
  const button = h('button', { type: 'button', class: 'copy' }, label);
  button.addEventListener('click', () => {
    void copy(text()).then(() => {
      button.textContent = 'Copied';
      announce('Copied');
      setTimeout(() => (button.textContent = label), 1500);
    });
  });
  return button;
}

/** Filled when it is opened first. */
export function details(title: string, content: () => Node): HTMLDetailsElement {
  const element = h('details', {}, h('summary', {}, title));
  element.addEventListener('toggle', () => {
    if (element.open && element.children.length === 1) element.append(content());
  });
  return element;
}

/** Of a picture's parts one is reached by Tab, the others from there by arrow keys, Home and End;
 * Enter and the space bar are a click. */
export function rove(picture: SVGElement, selector: string): void {
  const parts = (): SVGElement[] => [...picture.querySelectorAll<SVGElement>(selector)];
  parts().forEach((part, i) => part.setAttribute('tabindex', i === 0 ? '0' : '-1'));
  picture.addEventListener('keydown', (e) => {
    const all = parts();
    const at = all.indexOf((e.target as Element).closest<SVGElement>(selector)!);
    if (at < 0) return;
    const step: Record<string, number> = {
      ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: all.length - 1,
    };
    if (e.key === 'Enter' || e.key === ' ') all[at].dispatchEvent(new MouseEvent('click', { bubbles: true }));
    else if (!(e.key in step)) return;
    e.preventDefault();
    const next = all[step[e.key]];
    if (!next) return;
    all[at].setAttribute('tabindex', '-1');
    next.setAttribute('tabindex', '0');
    next.focus();
  });
}
