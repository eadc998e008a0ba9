/** Runs the examples against the packed package, in a folder outside the repository. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);

const USAGE = `Packs the package, installs it in a temporary folder, and runs the tests of the examples there.

  npm run examples [-- [--peers oldest|latest] [EXAMPLE …]]

  --peers oldest   installs the first version of each range of peerDependencies; default: the latest ones

Exit codes: 0 each test passed, 1 not, 2 wrong usage.
`;

try {
  process.exitCode = main();
} catch (error) {
  process.stderr.write(`✖ ${error.message}\n`);
  process.exitCode = error.code?.startsWith('ERR_PARSE_ARGS') ? 2 : 1;
}

function main() {
  const { values, positionals } = parseArgs({
    options: { peers: { type: 'string', default: 'latest' }, help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const all = readdirSync(here, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  const unknown = positionals.filter((name) => !all.includes(name));
  if (unknown.length > 0 || !['oldest', 'latest'].includes(values.peers)) {
    const wrong =
      unknown.length > 0 ? `There is no example ${unknown[0]}: ${all.join(', ')}` : 'Peers: oldest or latest';
    process.stderr.write(`✖ ${wrong}. --help tells more.\n`);
    return 2;
  }
  const names = positionals.length > 0 ? positionals : all;
  const work = mkdtempSync(join(tmpdir(), 'examples-'));
  process.once('exit', () => rmSync(work, { recursive: true, force: true }));
  install(work, names, values.peers);
  let failed = 0;
  for (const name of names) {
    process.stdout.write(`\n${name}\n`);
    if (run('npm', ['test', '--silent'], join(work, name)) !== 0) failed += 1;
  }
  process.stdout.write(
    `\n${names.length - failed} of ${names.length} examples passed, ${values.peers} peers\n`,
  );
  return failed === 0 ? 0 : 1;
}

/** One folder of modules for all examples. */
function install(work, names, peers) {
  must('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', work], root);
  const [tarball] = readdirSync(work).filter((name) => name.endsWith('.tgz'));
  const { peerDependencies } = readPackage(root);
  const manifest = { name: 'examples', private: true, workspaces: names, overrides: {} };
  if (peers === 'oldest') {
    for (const [name, range] of Object.entries(peerDependencies)) {
      manifest.overrides[name] = range.replace('^', '');
    }
  }
  for (const name of names) {
    const folder = join(work, name);
    cpSync(join(here, name), folder, { recursive: true });
    const example = readPackage(folder);
    example.dependencies['whatsapp-sms-fallback'] = `file:../${tarball}`;
    for (const peer of Object.keys(manifest.overrides)) {
      if (peer in example.dependencies) example.dependencies[peer] = manifest.overrides[peer];
    }
    writePackage(folder, example);
  }
  writePackage(work, manifest);
  const options = ['--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', '--loglevel=error'];
  // npm resolves optional peers too, and finds no versions of them that suit the oldest ones together.
  if (peers === 'oldest') options.push('--legacy-peer-deps');
  must('npm', ['install', ...options], work);
  for (const name of ['@nestjs/core', 'typeorm']) assertOneCopy(name, work);
  const required = `require('whatsapp-sms-fallback').WhatsappSmsFallbackModule.forRoot`;
  must('node', ['--eval', `if (typeof ${required} !== 'function') process.exit(1)`], work);
  must('npx', ['whatsapp-sms-fallback', 'simulate', '--help'], work);
}

/** With two copies, the application and the service would not share the container's tokens. */
function assertOneCopy(name, work) {
  const query = ['query', `[name="${name}"]`];
  const { stdout } = spawnSync('npm', query, { cwd: work, encoding: 'utf8', maxBuffer: 1e8 });
  const versions = JSON.parse(stdout).map(({ version }) => version);
  process.stdout.write(`${name} ${versions.join(', ')}\n`);
  if (versions.length !== 1) throw new Error(`${name} is installed ${versions.length} times`);
}

function readPackage(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
}

function writePackage(folder, content) {
  writeFileSync(join(folder, 'package.json'), JSON.stringify(content, null, 2));
}

function must(command, args, cwd) {
  if (run(command, args, cwd) !== 0) throw new Error(`${command} ${args[0]} failed`);
}

function run(command, args, cwd) {
  return spawnSync(command, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] }).status ?? 1;
}
