/** Which hosts are trusted with what. */
import { WaferError } from '../../errors.ts';

export interface Hosts {
  /** Where the registry is: HTTPS, or plain HTTP for one that the user has named. */
  origin(registry: string): URL;
  /**
   * Where the registry sends us. Same origin: as before. Another one gets no credentials, speaks
   * HTTPS, and is on the public internet; or the user has named it.
   * @throws WaferError `registry_denied`
   */
  follow(location: string, from: URL, registry: string): Target;
}

export interface Target {
  url: URL;
  /** The registry itself, the only one that gets credentials. */
  isOrigin: boolean;
  onlyPublic: boolean;
}

const shown = (text: string) => JSON.stringify(text.replace(/[^\x20-\x7e]/g, '?').slice(0, 120));

export function createHosts(insecure: readonly string[]): Hosts {
  const isNamed = (host: string) => insecure.includes(host.toLowerCase());
  const origin = (registry: string) => new URL(`${isNamed(registry) ? 'http' : 'https'}://${registry}/`);
  return {
    origin,
    follow(location, from, registry) {
      const denied = (why: string) =>
        new WaferError('registry_denied', `${registry} sends us to ${shown(location)}: ${why}.`);
      if (!URL.canParse(location, from.href)) throw denied('that is not a URL');
      const url = new URL(location, from.href);
      if (url.username !== '' || url.password !== '') throw denied('a URL with a password in it is not followed');
      if (url.origin === origin(registry).origin) return { url, isOrigin: true, onlyPublic: false };
      const known = isNamed(url.host);
      if (url.protocol === 'https:' || (url.protocol === 'http:' && known)) {
        return { url, isOrigin: false, onlyPublic: !known };
      }
      throw denied('another host must speak HTTPS');
    },
  };
}
