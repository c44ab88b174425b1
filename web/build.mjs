// Bundles src/ into dist/page.html, one file that loads nothing:  node build.mjs
// With --check it writes nothing and fails where dist/ is not what the sources give.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import esbuild from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const read = (name) => readFileSync(join(here, name), 'utf8');

async function bundle(entry) {
  const result = await esbuild.build({
    absWorkingDir: here,
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    format: 'iife',
    target: ['chrome100', 'firefox100', 'safari15'],
    charset: 'ascii',
    legalComments: 'none',
  });
  return result.outputFiles[0].text.trim();
}

// The page runs the script and the style it came with and nothing else.
const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

export async function page() {
  const script = await bundle('src/main.ts');
  const style = await bundle('src/style.css');
  if (/<\/script|<!--|\)embedded"/i.test(script)) throw new Error('the bundle would end its own element');
  const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; img-src data:; base-uri 'none'; form-action 'none'`;
  const licenses = ['@dagrejs/dagre', '@dagrejs/graphlib']
    .map((name) => `${name}\n${read(`node_modules/${name}/LICENSE`).trim()}`)
    .join('\n\n')
    .replace(/--/g, '- -');
  const parts = { POLICY: policy, LICENSES: licenses, STYLE: style, SCRIPT: script };
  return read('src/page.html').replace(/%(POLICY|LICENSES|STYLE|SCRIPT)%/g, (_, name) => parts[name]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = join(here, 'dist/page.html');
  const made = await page();
  if (process.argv.includes('--check')) {
    if (read('dist/page.html') !== made) {
      console.error('web/dist is not what web/src gives: npm ci && npm run build');
      process.exit(1);
    }
  } else {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, made);
    console.log(`dist/page.html: ${made.length} bytes`);
  }
}
