import { createServer, type IncomingMessage } from 'node:http';
import { parse } from 'node:querystring';
import twilio from 'twilio';
import { authToken, HOST, port, publicBaseUrl } from './settings.js';

/** The limit of Node itself: reads and parses the body, checks the signature, and stores nothing. */
const server = createServer((request, response) => {
  readBody(request, (body) => {
    const { url = '', headers } = request;
    const signature = String(headers['x-twilio-signature'] ?? '');
    const isValid = twilio.validateRequest(authToken, signature, publicBaseUrl + url, parse(body));
    response.writeHead(isValid ? 204 : 403, isValid ? {} : { 'Content-Length': 0 }).end();
  });
});

server.listen(port, HOST);

function readBody(request: IncomingMessage, done: (body: string) => void): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    done(Buffer.concat(chunks).toString());
  });
}
