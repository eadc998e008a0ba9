import { createServer } from 'node:net';
import { HOST, port } from './settings.js';

/** The least that a server can do, to measure the load generator: it reads nothing and answers every chunk alike. */
const ANSWER = Buffer.from('HTTP/1.1 204 No Content\r\n\r\n');

createServer({ noDelay: true }, (socket) => {
  // On the loopback interface a request of this size comes in one chunk.
  socket.on('data', () => socket.write(ANSWER));
  socket.on('error', () => undefined);
}).listen(port, HOST);
