// The pictures of docs/report.md, of pages that the program makes of the bundled network:
//   node web/screenshots.mjs [--build build]
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Browser } from './test/browser.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const option = (name, otherwise) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : otherwise);
const program = join(resolve(option('--build', join(root, 'build'))), 'espquant');
const to = resolve(option('--to', join(root, 'docs/images')));
const folder = mkdtempSync(join(tmpdir(), 'espquant-pictures-'));
for (const name of ['gesture.onnx', 'calib.npz', 'test.npz']) symlinkSync(join(root, 'examples/gesture', name), join(folder, name));
writeFileSync(join(folder, 'classes.txt'), ['palm', 'l', 'fist', 'thumb', 'index', 'ok', 'c', 'down'].join('\n'));
const network = ['gesture.onnx', '--calib', 'calib.npz', '--data', 'test.npz', '--classes', 'classes.txt', '--out', 'out'];

/** In the folder of the inputs, so that the command that a page shows is short. */
function make(page, ...words) {
  execFileSync(program, [...words, '--report', page], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  return join(folder, page);
}

const shots = [
  { name: 'page-light', page: 'quantized', width: 1200, height: 1130 },
  { name: 'page-dark', page: 'quantized', width: 1200, height: 820, dark: true, at: '#graph' },
  { name: 'page-answers', page: 'quantized', width: 1200, height: 1000, at: '#answers' },
  { name: 'page-memory-time', page: 'quantized', width: 1200, height: 880, at: '#memory' },
  { name: 'page-phone', page: 'quantized', width: 390, height: 844, mobile: true },
  { name: 'page-compare', page: 'compared', width: 1200, height: 700 },
  { name: 'page-tune', page: 'tuned', width: 1200, height: 760 },
  { name: 'page-shrink', page: 'shrunk', width: 1200, height: 640 },
];

try {
  mkdirSync(to, { recursive: true });
  const pages = {
    quantized: () => make('quantized.html', 'quantize', ...network),
    compared: () => make('compared.html', 'compare', ...network, '--recipe', 'int8,w8a16,mixed,balanced,int16'),
    tuned: () => make('tuned.html', 'tune', ...network, '--goal', 'accuracy-drop<=0.5', '--trials', '20'),
    shrunk: () => make('shrunk.html', 'shrink', ...network, '--latency', '-40%', '--steps', '60'),
  };
  const only = option('--only', '');
  const browser = await Browser.start();
  const made = {};
  for (const shot of shots.filter((s) => s.name.includes(only))) {
    const page = (made[shot.page] ??= pages[shot.page]());
    const tab = await browser.open(page, shot);
    // What is fixed in the page stays where it is; the rest is brought to its top.
    await tab.run(`(() => { const e = document.querySelector(${JSON.stringify(shot.at ?? 'body')}); scrollTo(0, e.getBoundingClientRect().top + scrollY - ${shot.at ? 8 : 0}); })()`);
    await tab.run('(() => { for (const i of document.images) i.loading = "eager"; })()');
    await tab.until('[...document.images].every((i) => i.complete)');
    await tab.run('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
    const file = join(to, `${shot.name}.png`);
    const png = await tab.screenshot();
    writeFileSync(file, png);
    console.log(`${file}: ${Math.round(png.length / 1000)} KB`);
    await tab.close();
  }
  await browser.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
