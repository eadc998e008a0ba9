/** With its question mark it is another address, so the browser asks for it, where for the same it would only scroll. */
location.replace(`/dashboard?${location.hash}`);

export {};
