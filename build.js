/**
 * A service may be running from dist/, so it is never changed file by file, and never without being asked.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const dist = join(root, 'dist');
const FOLDERS = ['src', 'migrations', 'dashboard', 'simulator', 'testing', 'harness', 'chaos', 'bench'];
const FILES = ['ormconfig.ts', 'tsconfig.json', 'tsconfig.build.json', 'build.js'];
/** What the compiler does not copy. As `assets` of nest-cli.json, for npm run dev. */
const ASSET = /\.(sql|css|svg)$/;
const WITH_ASSETS = ['migrations', 'dashboard'];

const USAGE = `Builds dist/, or runs a program of it.

  node build.js                               builds dist/ in a folder beside it, and puts that in its place
  node build.js if-old                        builds dist/ if it is missing or out of date
  node build.js state                         prints whether dist/ is new, old or missing
  node build.js run PROGRAM [argument …]      runs a program of dist/, e.g. src/commands/main
  node build.js run-new PROGRAM [argument …]  the same, if dist/ is not out of date
  node build.js watching                      marks dist/ as kept up to date by another program

Exit codes: 0 done, 1 not built or not run, 2 wrong usage.
`;

const [task, program, ...programArguments] = process.argv.slice(2);
try {
  await start();
} catch (error) {
  fail(`✖ ${error.message}`);
}

async function start() {
  if (task === '--help' || task === '-h') process.stdout.write(USAGE);
  else if (task === undefined) build();
  else if (task === 'watching') watching();
  else if (task === 'state') process.stdout.write(`${stateOf(dist)}\n`);
  else if (task === 'if-old') buildIfOld();
  else if ((task === 'run' || task === 'run-new') && program !== undefined) await run(task === 'run-new');
  else {
    process.stderr.write(`✖ Neither a program nor a task is named so: ${task}. --help tells more.\n`);
    process.exit(2);
  }
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

async function run(mustBeNew) {
  const state = stateOf(dist);
  if (state === 'missing') {
    process.stderr.write('Building dist/, which is not there yet.\n');
    build();
  } else if (state === 'old' && mustBeNew) {
    fail(
      '✖ dist/ is older than the sources. Run: npm run build\n  Then repeat this, and restart the service if it runs from here.',
    );
  } else if (state === 'old') {
    process.stderr.write(
      '⚠ dist/ is older than the sources, and is used as it is. npm run build updates it.\n',
    );
  }
  const file = join(dist, `${program}.js`);
  if (!existsSync(file)) fail(`✖ This build has no program ${program}. The whole of the sources has.`);
  process.argv = [process.argv[0], file, ...programArguments];
  await import(pathToFileURL(file).href);
}

function buildIfOld() {
  if (stateOf(dist) !== 'new') build();
}

function build() {
  const next = join(root, `dist.${process.pid}`);
  removeLeftovers();
  process.once('exit', () => rmSync(next, { recursive: true, force: true }));
  // The compiler gets Ctrl-C too; without a listener this process would end before it has tidied up.
  const wait = () => undefined;
  process.on('SIGINT', wait);
  const sources = digestOfSources();
  compile('tsconfig.build.json', next);
  compile('dashboard', next);
  for (const name of WITH_ASSETS) copyAssets(join(root, name), join(next, name));
  const bin = join(next, 'src/commands/main.js');
  if (existsSync(bin)) chmodSync(bin, 0o755);
  writeStamp(next, { sources });
  replaceDist(next);
  process.off('SIGINT', wait);
}

function compile(project, outDir) {
  const compiler = compilerFile();
  const { status } = spawnSync(process.execPath, [compiler, '-p', project, '--outDir', outDir], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (status === 0) return;
  fail('✖ Not built: see above. dist/ stays as it was.');
}

function compilerFile() {
  try {
    return fileURLToPath(import.meta.resolve('typescript/bin/tsc'));
  } catch {
    return fail('✖ Not built: TypeScript is not installed. Run: npm ci');
  }
}

function copyAssets(from, to) {
  cpSync(from, to, {
    recursive: true,
    filter: (path) => statSync(path).isDirectory() || ASSET.test(path),
  });
}

/** Two builds may end at the same time: whichever folder is in the way is moved out of it. */
function replaceDist(next) {
  const old = `${next}.old`;
  process.once('exit', () => rmSync(old, { recursive: true, force: true }));
  for (;;) {
    try {
      renameSync(next, dist);
      return;
    } catch (error) {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    }
    rmSync(old, { recursive: true, force: true });
    try {
      renameSync(dist, old);
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
  }
}

/** Of builds that were killed. */
function removeLeftovers() {
  for (const name of readdirSync(root)) {
    const [, pid] = /^dist\.(\d+)(\.old)?$/.exec(name) ?? [];
    if (pid !== undefined && !isAlive(Number(pid)))
      rmSync(join(root, name), { recursive: true, force: true });
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** @returns missing, old or new. Where there are no sources, as in the image, dist/ is what there is. */
function stateOf(folder) {
  if (!existsSync(folder)) return 'missing';
  if (!existsSync(join(root, 'src'))) return 'new';
  const { sources, watched } = readStamp(folder);
  const isNew = watched === true ? sourceFiles().every(isCompiled) : sources === digestOfSources();
  return isNew ? 'new' : 'old';
}

/** By content, because a checkout changes the times of files, and a copy may keep them. */
function digestOfSources() {
  const hash = createHash('sha256');
  for (const file of sourceFiles())
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

function sourceFiles() {
  const inFolders = FOLDERS.filter((folder) => existsSync(join(root, folder))).flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true }).map((name) => join(folder, name)),
  );
  return [...inFolders, ...FILES]
    .filter((file) => /\.(ts|sql|css)$/.test(file) || /^dashboard.*\.svg$/.test(file) || FILES.includes(file))
    .filter((file) => existsSync(join(root, file)))
    .sort();
}

/** Whether the output of a watched source is not older than it. */
function isCompiled(file) {
  if (file.endsWith('.d.ts') || !/\.(ts|sql|css|svg)$/.test(file)) return true;
  const output = join(dist, file.replace(/\.ts$/, '.js'));
  return existsSync(output) && statSync(output).mtimeMs >= statSync(join(root, file)).mtimeMs;
}

/** A build without one, e.g. of Nest's own program, may be of anything. */
function readStamp(folder) {
  try {
    return JSON.parse(readFileSync(join(folder, 'build.json'), 'utf8'));
  } catch {
    return {};
  }
}

function watching() {
  mkdirSync(dist, { recursive: true });
  writeStamp(dist, { watched: true });
}

function writeStamp(folder, stamp) {
  writeFileSync(join(folder, 'build.json'), `${JSON.stringify(stamp)}\n`);
}
