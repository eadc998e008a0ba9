import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));

/** The compiler is slow, even more so on a busy machine. */
const LIMIT = 300_000;

/** A small project with the real build.js. */
describe('build.js', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-build-'));
    await cp(join(root, 'build.js'), join(folder, 'build.js'));
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    const compilerOptions = {
      ...{ target: 'es2022', module: 'nodenext', lib: ['es5'], types: [], skipLibCheck: true },
      ...{ rootDir: '.', outDir: 'dist' },
    };
    await write('package.json', JSON.stringify({ type: 'module' }));
    await write('tsconfig.build.json', JSON.stringify({ compilerOptions, include: ['src'] }));
    const page = { ...compilerOptions, rootDir: '..', outDir: '../dist' };
    await write('dashboard/tsconfig.json', JSON.stringify({ compilerOptions: page, include: ['.'] }));
    await write('dashboard/main.ts', 'export const page = 1;\n');
    await write('migrations/one.sql', 'select 1;\n');
    await writeGreeting('one');
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function write(path: string, content: string): Promise<void> {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }

  const writeGreeting = (word: string) =>
    write(
      'src/greet.ts',
      `declare const process: any, console: any;\nconst word: string = '${word}';\nconsole.log(word, process.argv.slice(2).join());\n`,
    );

  async function build(...args: string[]) {
    const child = spawn(process.execPath, ['build.js', ...args], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = new Promise<number | null>((done) => child.once('close', done));
    const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    return { code, stdout, stderr };
  }

  const greet = (task: 'run' | 'run-new') => build(task, 'src/greet', 'to', '--all');

  it(
    'builds what is missing once and passes the arguments on',
    async () => {
      const first = await greet('run');
      expect(first).toMatchObject({ code: 0, stdout: 'one to,--all\n' });
      expect(first.stderr).toContain('Building dist/');
      expect((await readdir(join(folder, 'dist'))).toSorted()).toEqual([
        'build.json',
        'dashboard',
        'migrations',
        'src',
      ]);
      expect(await greet('run-new')).toEqual({ code: 0, stdout: 'one to,--all\n', stderr: '' });
    },
    LIMIT,
  );

  it(
    'never changes an existing build when it runs a program, and says that the build is old',
    async () => {
      await build();
      const built = await stat(join(folder, 'dist'));
      await writeGreeting('two');
      const old = await greet('run');
      expect(old).toMatchObject({ code: 0, stdout: 'one to,--all\n' });
      expect(old.stderr).toContain('dist/ is older than the sources, and is used as it is. npm run build');
      const refused = await greet('run-new');
      expect(refused).toMatchObject({ code: 1, stdout: '' });
      expect(refused.stderr).toContain('✖ dist/ is older than the sources. Run: npm run build');
      expect((await stat(join(folder, 'dist'))).ino).toBe(built.ino);
      expect(await build('state')).toMatchObject({ code: 0, stdout: 'old\n' });
      await build('if-old');
      const rebuilt = await stat(join(folder, 'dist'));
      expect(await greet('run-new')).toEqual({ code: 0, stdout: 'two to,--all\n', stderr: '' });
      expect(await build('state')).toMatchObject({ code: 0, stdout: 'new\n' });
      await build('if-old');
      expect((await stat(join(folder, 'dist'))).ino).toBe(rebuilt.ino);
    },
    LIMIT,
  );

  it(
    'compares the contents of files, because their times say nothing after a checkout or a copy',
    async () => {
      await build();
      await writeGreeting('one');
      expect(await greet('run-new')).toMatchObject({ code: 0, stderr: '' });
      await write('migrations/two.sql', 'select 2;\n');
      expect(await greet('run-new')).toMatchObject({ code: 1 });
    },
    LIMIT,
  );

  it(
    'keeps the existing build, and no other folder, if the sources do not compile',
    async () => {
      await build();
      await write('src/greet.ts', 'const wrong: number = "text";\n');
      const failed = await build();
      expect(failed.code).toBe(1);
      expect(failed.stderr).toContain('dist/ stays as it was');
      expect(await greet('run')).toMatchObject({ code: 0, stdout: 'one to,--all\n' });
      expect((await readdir(folder)).filter((name) => name.startsWith('dist'))).toEqual(['dist']);
    },
    LIMIT,
  );

  it(
    'builds next to another build, and each ends with a whole build',
    async () => {
      const both = await Promise.all([greet('run'), greet('run'), build()]);
      expect(both.map(({ code }) => code)).toEqual([0, 0, 0]);
      expect(await greet('run-new')).toEqual({ code: 0, stdout: 'one to,--all\n', stderr: '' });
      expect((await readdir(folder)).filter((name) => name.startsWith('dist'))).toEqual(['dist']);
    },
    LIMIT,
  );

  it(
    'keeps a build without a stamp and one whose stamp is unreadable',
    async () => {
      await build();
      const built = await stat(join(folder, 'dist'));
      for (const spoil of [() => write('dist/build.json', '{'), () => rm(join(folder, 'dist/build.json'))]) {
        await spoil();
        expect(await greet('run-new')).toMatchObject({ code: 1, stdout: '' });
        expect(await greet('run')).toMatchObject({ code: 0, stdout: 'one to,--all\n' });
      }
      expect((await stat(join(folder, 'dist'))).ino).toBe(built.ino);
    },
    LIMIT,
  );

  it(
    'explains in one line a wrong use and the right one',
    async () => {
      const help = await build('--help');
      expect(help).toMatchObject({ code: 0, stderr: '' });
      expect(help.stdout).toContain('node build.js run PROGRAM');
      for (const args of [['buld'], ['run']]) {
        expect(await build(...args)).toMatchObject({ code: 2, stdout: '' });
      }
      await build();
      expect(await build('run', 'src/other')).toEqual({
        code: 1,
        stdout: '',
        stderr: '✖ This build has no program src/other. The whole of the sources has.\n',
      });
      await rm(join(folder, 'dist'), { recursive: true });
      await rm(join(folder, 'node_modules'));
      expect(await greet('run')).toEqual({
        code: 1,
        stdout: '',
        stderr:
          'Building dist/, which is not there yet.\n✖ Not built: TypeScript is not installed. Run: npm ci\n',
      });
    },
    LIMIT,
  );

  it(
    'lets a program that it built be interrupted',
    async () => {
      await write(
        'src/wait.ts',
        `declare const setInterval: any, console: any;\nsetInterval(() => {}, 1e6);\nconsole.log('waits');\n`,
      );
      const child = spawn(process.execPath, ['build.js', 'run', 'src/wait'], {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      await once(child.stdout, 'data');
      child.kill('SIGINT');
      expect(await once(child, 'exit')).toEqual([null, 'SIGINT']);
    },
    LIMIT,
  );

  it(
    'compares times while another program keeps the build up to date',
    async () => {
      await build();
      await build('watching');
      expect(JSON.parse(await readFile(join(folder, 'dist/build.json'), 'utf8'))).toEqual({ watched: true });
      expect(await greet('run-new')).toMatchObject({ code: 0 });
      await writeGreeting('two');
      expect(await greet('run-new')).toMatchObject({ code: 1 });
    },
    LIMIT,
  );
});
