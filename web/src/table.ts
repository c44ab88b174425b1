import { csv } from './format';
import { announce, copyButton, h } from './dom';

export interface Column<Row> {
  title: string;
  /** What is sorted by and copied. */
  value: (row: Row) => string | number | null;
  /** What is shown, where it is not that. */
  text?: (row: Row) => string;
}

export interface TableOptions<Row> {
  caption: string;
  open?: (row: Row) => void;
}

type Value = string | number | null;

/** Numbers before texts, nothing last whatever the direction; equal rows keep their order. */
export function sorted<Row>(rows: Row[], value: (row: Row) => Value, descending: boolean): Row[] {
  const sign = descending ? -1 : 1;
  return rows
    .map((row, place) => ({ row, place, v: value(row) }))
    .sort((a, b) => {
      if (a.v === null || b.v === null) return (a.v === null ? 1 : 0) - (b.v === null ? 1 : 0) || a.place - b.place;
      if (typeof a.v === 'number' && typeof b.v === 'number') return sign * (a.v - b.v) || a.place - b.place;
      if (typeof a.v === 'number') return -1;
      if (typeof b.v === 'number') return 1;
      return sign * (a.v < b.v ? -1 : a.v > b.v ? 1 : 0) || a.place - b.place;
    })
    .map(({ row }) => row);
}

/** Rows in which every word occurs somewhere. */
export function filtered<Row>(rows: Row[], words: string, texts: (row: Row) => string[]): Row[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  if (!wanted.length) return rows;
  return rows.filter((row) => {
    const text = texts(row).join('\n').toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}

/** Sorted by a click on a title, filtered by words, copied as CSV as it is shown. */
export function dataTable<Row>(rows: Row[], columns: Column<Row>[], options: TableOptions<Row>): HTMLElement {
  const text = (column: Column<Row>, row: Row): string => {
    if (column.text) return column.text(row);
    const value = column.value(row);
    return value === null ? '' : String(value);
  };
  let by = -1;
  let descending = false;
  let words = '';
  const shown = (): Row[] => {
    const left = filtered(rows, words, (row) => columns.map((c) => text(c, row)));
    return by < 0 ? left : sorted(left, columns[by].value, descending);
  };

  const body = h('tbody');
  const count = h('span', { class: 'count' });
  const numeric = columns.map((c) => rows.some((row) => typeof c.value(row) === 'number'));
  const heads = columns.map((column, i) => {
    const button = h('button', { type: 'button' }, column.title);
    button.addEventListener('click', () => {
      // Of numbers one looks for the largest.
      descending = by === i ? !descending : numeric[i];
      by = i;
      draw();
      announce(`Sorted by ${column.title}, ${descending ? 'descending' : 'ascending'}`);
    });
    return h('th', { scope: 'col', class: numeric[i] ? 'number' : null }, button);
  });

  function draw(): void {
    heads.forEach((head, i) => {
      if (i === by) head.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    });
    const list = shown();
    count.textContent = list.length === rows.length ? `${rows.length} rows` : `${list.length} of ${rows.length} rows`;
    body.replaceChildren(...list.map((row) =>
      h('tr', {}, ...columns.map((column, i) => {
        const content = text(column, row);
        if (i === 0 && options.open)
          return h('th', { scope: 'row' },
            h('button', { type: 'button', class: 'link', click: () => options.open!(row) }, content));
        return h('td', { class: numeric[i] ? 'number' : null }, content);
      }))));
  }

  const filter = h('input', { type: 'search', placeholder: 'Filter', 'aria-label': `Filter ${options.caption}` });
  filter.addEventListener('input', () => {
    words = filter.value;
    draw();
  });
  draw();
  return h('div', { class: 'data-table' },
    h('div', { class: 'tools' }, filter, count,
      copyButton('Copy CSV', () =>
        csv([columns.map((c) => c.title), ...shown().map((row) => columns.map((c) => c.value(row)))]))),
    h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': options.caption },
      h('table', {}, h('caption', { class: 'hidden' }, options.caption),
        h('thead', {}, h('tr', {}, ...heads)), body)));
}
