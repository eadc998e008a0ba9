import { Injectable, type NestMiddleware } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';
import { PageAssets } from './page-assets.js';

const BEGIN = '/dashboard/assets/';

/** Serves the page's files. They contain no secrets, so they need no key. */
@Injectable()
export class AssetsMiddleware implements NestMiddleware<Request, Response> {
  constructor(private readonly assets: PageAssets) {}

  use(request: Request, response: Response, next: NextFunction): void {
    const path = request.originalUrl.replace(/\?.*$/s, '');
    const asset = path.startsWith(BEGIN) ? this.assets.find(path.slice(BEGIN.length)) : undefined;
    if (asset === undefined || !/^(GET|HEAD)$/.test(request.method)) {
      next();
      return;
    }
    const isGzipped = request.acceptsEncodings('gzip') !== false;
    if (isGzipped) response.setHeader('Content-Encoding', 'gzip');
    // Express adds the ETag, so that a browser's next request is answered 304.
    response
      .setHeader('Content-Type', asset.type)
      .setHeader('Cache-Control', 'no-cache')
      .setHeader('Vary', 'Accept-Encoding');
    response.send(isGzipped ? asset.gzipped : asset.content);
  }
}
