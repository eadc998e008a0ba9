/** A browser finds modules by their address only; the service serves lit-html at this one. */
export * from 'lit-html';
