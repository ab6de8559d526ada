/** Volumes: shared, kept, filled once from the image, and never anywhere but in the sandbox's root. */
import { readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { until } from '../helpers/until.ts';
import { containerLab } from './container-lab.ts';

const lab = containerLab('volumes');
const at = (volume: string, path: string, readOnly = false) => ({ volumes: [{ volume, path, readOnly }] });

describe('a volume', () => {
  it('is made when it is missing, outlives its sandbox, and is no part of the layer', async () => {
    const volume = lab.volume();
    const spec = at(volume, '/var/lib/new/data');
    expect(await lab.run(['sh', '-c', 'echo kept > /var/lib/new/data/f'], spec)).toMatchObject({ status: 0 });
    expect(await lab.run(['cat', '/var/lib/new/data/f'], spec)).toMatchObject({ out: 'kept\n' });
    const { out } = await lab.run(['sh', '-c', 'grep /var/lib/new /proc/self/mountinfo'], spec);
    expect(out).toMatch(/rw,nosuid,nodev/);
  });

  it('is shared by sandboxes, and read-only where it was asked for', async () => {
    const volume = lab.volume();
    const one = await lab.create([], at(volume, '/data'));
    const two = await lab.create([], at(volume, '/data', true));
    await lab.sh(one, 'echo hello > /data/f');
    expect(await lab.sh(two, 'cat /data/f; (: > /data/g) 2>&1 | grep -o "Read-only"')).toBe('hello\nRead-only\n');
  });

  it('gets what the image has at its path, once, with owners, modes and links', async () => {
    const upper = lab.volume();
    const image = await lab.create([], {});
    await lab.sh(
      image,
      'mkdir -p /seed/d && cd /seed && echo 1 > d/f && chown 33:34 d/f && chmod 640 d/f && ln d/f d/g && ln -s f d/s && chmod 1777 d && chmod 711 . && mkfifo p 2>/dev/null; true',
    );
    const layer = 'e'.repeat(64);
    await lab.host.removeLayer(layer);
    await lab.host.unpack(layer, await image.readFiles('/seed'));
    const layers = [...lab.base('debian12'), layer];
    // Without O_CREAT: in a sticky directory hosts forbid that, even to root (fs.protected_regular, proc_sys_fs(5)).
    const change = 'printf "changed\\n" | dd of=d/f conv=nocreat 2>/dev/null; rm d/s';
    const script = `cd /seed && stat -c "%n %a %u:%g %h" . d d/f && readlink d/s && [ d/f -ef d/g ] && echo same; ${change}`;
    const first = await lab.run(['sh', '-c', script], { layers, ...at(upper, '/seed') });
    expect(first.out).toBe('. 711 0:0 3\nd 1777 0:0 2\nd/f 640 33:34 2\nf\nsame\n');
    const second = await lab.run(['sh', '-c', 'cat /seed/d/f; ls /seed/d'], { layers, ...at(upper, '/seed') });
    expect(second.out).toBe('changed\nf\ng\n');
    await lab.host.removeLayer(layer);
  });

  it('is one, also when two sandboxes make it at the same time', async () => {
    const volume = lab.volume();
    const some = await Promise.all([1, 2, 3, 4].map(() => lab.create([], at(volume, '/etc/alternatives'))));
    await Promise.all(some.map((one, i) => lab.sh(one, `echo ${i} > /etc/alternatives/mark-${i}`)));
    for (const one of some) expect(await lab.sh(one, 'ls /etc/alternatives/mark-* | wc -l')).toBe('4\n');
    await until('what the others made is gone', async () =>
      (await readdir(lab.volumesDir)).every((name) => !name.startsWith('tmp-')),
    );
  });

  it('may lie below another one, and is read and written through by files', async () => {
    const [outer, inner] = [lab.volume(), lab.volume()];
    const volumes = [
      { volume: inner, path: '/o/i', readOnly: false },
      { volume: outer, path: '/o', readOnly: false },
    ];
    const sandbox = await lab.create([], { volumes });
    await lab.sh(sandbox, 'echo x > /o/i/f; echo y > /o/g');
    await sandbox.writeFiles('/o/i', await sandbox.readFiles('/o/g'));
    expect(await lab.sh(sandbox, 'ls /o/i')).toBe('f\ng\n');
  });

  it("never covers what is not the image's, and never lies outside of the root", async () => {
    const volume = lab.volume();
    const refused = (path: string, code: string) =>
      expect(lab.create([], at(volume, path)), path).rejects.toMatchObject({ code });
    for (const path of ['relative', '/', '/a/../b', '/..']) await refused(path, 'bad_request');
    for (const path of ['/proc', '/dev', '/dev/shm', '/.wafer', '/proc/self', '//', '/./'])
      await refused(path, 'setup_failed');
    await expect(lab.create(['true'], { profile: 'function', ...at(volume, '/data') })).rejects.toMatchObject({
      code: 'bad_request',
    });
    await expect(lab.create([], at('../x', '/data'))).rejects.toMatchObject({ code: 'bad_request' });
    const left = (await readdir(lab.volumesDir)).filter((name) => name === volume);
    expect(left).toEqual([]);
  });

  it('follows links of the image only inside the root', async () => {
    const [volume, other] = [lab.volume(), lab.volume()];
    const first = await lab.create();
    await lab.sh(first, `ln -s ../../../../../../srv/in /to-srv; ln -s /dev /to-dev; ln -s ${lab.volumesDir} /to-host`);
    await first.destroy();
    const spec = { upper: first.id, volumes: [{ volume, path: '/to-srv/data', readOnly: false }] };
    // Dangling: neither followed out, nor made somewhere.
    await expect(lab.create([], spec)).rejects.toMatchObject({ code: 'setup_failed' });
    await expect(
      lab.create([], { upper: first.id, volumes: [{ volume: other, path: '/to-dev', readOnly: false }] }),
    ).rejects.toMatchObject({ code: 'setup_failed' });
    await expect(
      lab.create([], { upper: first.id, volumes: [{ volume: other, path: '/to-host/x', readOnly: false }] }),
    ).rejects.toMatchObject({ code: 'setup_failed' });
    expect(await readdir(lab.volumesDir)).not.toContain('x');
  });
});
