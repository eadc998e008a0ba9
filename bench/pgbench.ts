import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The recipient's number, different for each row, since numbers are indexed. */
const NUMBER = `'+1555' || lpad(:number::text, 7, '0')`;

/** The INSERT of the peers with a callback's usual values, as long as theirs; every key is a new one. */
const INSERT = `
insert into message_events (
  message_sid, message_status, channel, to_number, from_number, error_code, error_message, account_sid, payload
) values (
  'SM' || replace(gen_random_uuid()::text, '-', ''), 'delivered', 'whatsapp', ${NUMBER}, '+14155238886', null, null,
  'ACb0000000000000000000000000000001',
  format('{"AccountSid": "ACb0000000000000000000000000000001", "ApiVersion": "2010-04-01", "From": "whatsapp:+14155238886",
    "MessageSid": "SM0123456789abcdef0123456789abcdef", "MessageStatus": "delivered",
    "SmsSid": "SM0123456789abcdef0123456789abcdef", "SmsStatus": "delivered", "To": "whatsapp:%s",
    "ChannelPrefix": "whatsapp", "ChannelToAddress": "+1555012XXXX", "StructuredMessage": "false",
    "ChannelInstallSid": "XE0123456789abcdef0123456789abcdef", "EventType": "DELIVERED",
    "ExternalUserId": "US.0123456789abcdef"}', ${NUMBER})::jsonb
) on conflict (message_sid, message_status) do nothing;
`.replaceAll(/\n */g, ' ');

const SCRIPT = `\\set number random(0, 9999999)\n${INSERT}\n`;

const LONGEST_SECONDS = 15;

/** PostgreSQL's own load generator: measures the database alone, with one commit for each row. */
export class Pgbench {
  private constructor(
    private readonly program: string,
    private readonly script: string,
    private readonly databaseUrl: string,
  ) {}

  /** @param programs the folder of PostgreSQL's programs. @param folder for the script. */
  static async prepare(programs: string, folder: string, databaseUrl: string): Promise<Pgbench> {
    const script = join(folder, 'insert.sql');
    await writeFile(script, SCRIPT);
    return new Pgbench(join(programs, 'pgbench'), script, databaseUrl);
  }

  /** @returns commits a second. */
  async run(connections: number, milliseconds: number): Promise<number> {
    for (let seconds = Math.max(1, Math.round(milliseconds / 1000)); ; seconds *= 2) {
      const output = await this.runFor(seconds, connections);
      const rate = /^tps = ([\d.]+)/m.exec(output)?.[1];
      if (rate !== undefined) return Number(rate);
      // If the machine stalled for that long, nothing was committed and pgbench prints no rate.
      if (seconds > LONGEST_SECONDS) throw new Error(`pgbench printed no rate:\n${output}`);
    }
  }

  private async runFor(seconds: number, connections: number): Promise<string> {
    const { stdout } = await promisify(execFile)(this.program, [
      // Like the peers' pools: parsed and planned each time.
      ...['--no-vacuum', '--protocol=extended', `--file=${this.script}`],
      ...[`--client=${connections}`, `--time=${seconds}`, this.databaseUrl],
    ]);
    return stdout;
  }
}
