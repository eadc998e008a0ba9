/** Writes a report of each public entry, or checks that the reports are up to date. */
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);

const ENTRIES = { index: 'src/index', testing: 'testing/index', migrations: 'src/migrations' };

const USAGE = `Writes etc/*.api.md, a report of each public entry of the package, from dist/.

  npm run api              updates the reports
  npm run api -- --check   fails if one is out of date

Exit codes: 0 done, 1 out of date, 2 wrong usage.
`;

const [task, ...others] = process.argv.slice(2);
if (task === '--help' || task === '-h') process.stdout.write(USAGE);
else if ((task !== undefined && task !== '--check') || others.length > 0) {
  process.stderr.write(`✖ ${task} is not known. --help tells more.\n`);
  process.exitCode = 2;
} else {
  for (const [name, file] of Object.entries(ENTRIES)) report(name, file, task === undefined);
}

function report(name, file, isUpdate) {
  const config = ExtractorConfig.prepare({
    configObjectFullPath: join(here, 'api.json'),
    packageJsonFullPath: join(root, 'package.json'),
    configObject: {
      projectFolder: root,
      newlineKind: 'lf',
      mainEntryPointFilePath: join(root, 'dist', `${file}.d.ts`),
      compiler: { tsconfigFilePath: join(root, 'tsconfig.build.json') },
      apiReport: {
        enabled: true,
        reportFileName: name,
        reportFolder: here,
        reportTempFolder: join(root, 'dist', 'etc'),
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: { extractorMessageReporting: { default: { logLevel: 'none' } } },
    },
  });
  const { apiReportChanged: isOld } = Extractor.invoke(config, {
    localBuild: isUpdate,
    messageCallback: (message) => {
      message.handled = message.logLevel !== 'error';
    },
  });
  if (!isOld) return;
  process.stdout.write(
    isUpdate ? `etc/${name}.api.md is new\n` : `✖ etc/${name}.api.md is out of date. Run: npm run api\n`,
  );
  if (!isUpdate) process.exitCode = 1;
}
