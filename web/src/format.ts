export const integer = (n: number): string => Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, ',');

export function bytes(n: number): string {
  if (n < 1024) return `${n} B`;
  const kib = n / 1024;
  return kib < 1024 ? `${significant(kib)} KiB` : `${significant(kib / 1024)} MiB`;
}

/** Three digits, without an exponent where that stays readable. */
export function significant(n: number): string {
  if (n === 0) return '0';
  const size = Math.abs(n);
  if (size >= 1e6 || size < 1e-4) return n.toExponential(1);
  if (size >= 100) return Math.round(n).toString();
  return Number(n.toPrecision(3)).toString();
}

export const percent = (fraction: number): string => `${significant(100 * fraction)} %`;

/** Of samples: two decimals tell networks apart that differ in a sample of thousands. */
export const share = (fraction: number): string => `${(100 * fraction).toFixed(2)} %`;

export const milliseconds = (n: number): string => `${significant(n)} ms`;

export const shape = (extents: number[]): string => (extents.length ? extents.join('×') : 'scalar');

export function exponents(list: number[]): string {
  if (!list.length) return '0';
  let low = list[0];
  let high = list[0];
  for (const e of list) {
    low = Math.min(low, e);
    high = Math.max(high, e);
  }
  return low === high ? `${low}` : `${low}..${high}`;
}

/** Both ends of a name tell more than its middle. */
export function shortened(text: string, width: number): string {
  if (text.length <= width) return text;
  const head = Math.ceil((width - 1) / 3);
  return `${text.slice(0, head)}…${text.slice(text.length - (width - 1 - head))}`;
}

/** RFC 4180. What a spreadsheet would take for a formula is text: names come from the model. */
export function csv(rows: (string | number | null)[][]): string {
  const field = (value: string | number | null): string => {
    if (value === null) return '';
    if (typeof value === 'number') return String(value);
    const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  return rows.map((row) => row.map(field).join(',')).join('\n') + '\n';
}
