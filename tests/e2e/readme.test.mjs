// What the README promises: its blocks are the files, its page is opened in a real browser, its service answers.
// And every function that docs/architecture.md names exists.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { broker, closeAll, playwright, run, start, until } from './lib.mjs';

const root = process.env.FOZ_ROOT;
const readme = readFileSync(root + '/README.md', 'utf8');
const block = (language) => readme.match(new RegExp('```' + language + '\\n([^]*?)```'))[1];
const work = process.env.FOZ_OUT + '/readme';

after(closeAll);

test('the service of the README is the one that the tests of the package build', () => {
  assert.equal(block('cpp'), readFileSync(root + '/tests/package/main.cpp', 'utf8'));
  assert.equal(block('cmake'), readFileSync(root + '/tests/package/CMakeLists.txt', 'utf8').replace(/^#.*\n/, ''));
});

test("its page shows the service's answer to whoever asks, and the greeting to everyone", async () => {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work + '/web', { recursive: true });
  for (const [file, text] of [['web/index.html', block('html')], ['foz.toml', block('toml')]]) writeFileSync(join(work, file), text);
  const service = await start(process.env.FOZ_MY_SERVICE, [broker]);
  await service.until('ready');
  const server = await start(process.env.FOZ, ['serve', '--config', work + '/foz.toml', '--broker', broker, '--web', work + '/web',
    '--listen', '127.0.0.1:0']);
  await server.until('ready: ', 60);
  const url = server.output.match(/ready: (http:\/\/[^/]+)\//)[1];
  const browser = await playwright().chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
  const tabs = [];
  for (let i = 0; i < 2; i += 1) {
    const tab = await browser.newPage();
    tab.wrong = [];
    tab.on('pageerror', (error) => tab.wrong.push(error.message));
    await tab.goto(url);
    await tab.waitForFunction(() => primus.foz.client !== null);
    tabs.push(tab);
  }
  await tabs[0].fill('input', 'Ada');
  await tabs[0].click('button');
  const items = (tab) => tab.locator('li').allTextContents();
  await until(async () => (await items(tabs[0])).length === 2 && (await items(tabs[1])).length === 1, 'both tabs show it');
  assert.deepEqual((await items(tabs[0])).sort(), ['Ada says hello', 'the service answers {"ok":true}']);
  assert.deepEqual(await items(tabs[1]), ['Ada says hello']);
  assert.deepEqual(tabs.flatMap((tab) => tab.wrong), []);
  await tabs[0].screenshot({ path: process.env.FOZ_OUT + '/readme.png' });
  const asked = await run(process.env.FOZ, ['request', 'hello', '{"who":"me"}', '--type', 'greet', '--url', url.replace('http', 'ws')]);
  assert.deepEqual([asked.code, asked.output], [0, '{"ok":true}\n']);
  await browser.close();
  await server.stop();
  await service.stop();
});

test('links in the documents lead somewhere', () => {
  const files = execFileSync('git', ['ls-files', '*.md'], { cwd: root, encoding: 'utf8' }).trim().split('\n');
  assert.ok(files.length > 10);
  for (const file of files)
    for (const [, target] of readFileSync(join(root, file), 'utf8').replace(/```[^]*?```/g, '').matchAll(/\]\((?!https?:)([^)#\s]+)[^)]*\)/g))
      assert.ok(readdirSync(join(root, file, '..', target, '..')).includes(target.replace(/\/$/, '').split('/').pop()),
        file + ' links to ' + target);
});

test('functions that the architecture names exist', () => {
  const sources = execFileSync('git', ['ls-files', 'src/**/*.hpp', 'src/**/*.cpp'], { cwd: root, encoding: 'utf8' })
    .trim().split('\n').map((file) => readFileSync(join(root, file), 'utf8')).join('\n');
  const named = [...readFileSync(root + '/docs/architecture.md', 'utf8').matchAll(/`((?:\w+::)*\w+)(?:\(\))?`/g)]
    .map(([, name]) => name).filter((name) => name.includes('::'));
  assert.ok(named.length > 30);
  for (const name of new Set(named)) {
    const last = name.split('::').pop();
    const owner = name.split('::').at(-2);
    assert.match(sources, new RegExp('\\b' + last + '\\b'), name);
    assert.match(sources, new RegExp('\\b(?:class|struct|namespace|enum class)[^;{]*\\b' + owner + '\\b|namespace foz::' + owner), name);
  }
});
