/** In UTF-16 units: what a pipe takes at once on Linux. */
const FULL = 64 * 1024;

/**
 * Writes the lines of one turn of the event loop together: standard output is written synchronously, and a system call
 * for each line costs more than the line. No line waits for longer than that turn, nor for another line. What is left
 * when the process exits, after an uncaught exception too, is written then; only a signal that ends the process at once
 * takes the lines of its last turn with it.
 */
export class LineBuffer {
  private lines = '';

  /**
   * @param stream standard output, whose writes to files and pipes are synchronous.
   * @param full how much is written at once.
   */
  constructor(
    private readonly stream: NodeJS.WritableStream,
    private readonly full = FULL,
  ) {
    process.on('exit', () => {
      this.flush();
    });
  }

  write(line: string): void {
    if (this.lines.length + line.length > this.full) this.flush();
    if (this.lines === '') {
      setImmediate(() => {
        this.flush();
      });
    }
    this.lines += line;
    if (this.lines.length >= this.full) this.flush();
  }

  flush(): void {
    if (this.lines === '') return;
    const lines = this.lines;
    this.lines = '';
    this.stream.write(lines);
  }
}
