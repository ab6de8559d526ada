import { SETTINGS } from '../../core/config.ts';
import { command, jsonFlag } from '../command.ts';

/** A URL may carry a password; it is shown without. */
function hideSecret(value: unknown): unknown {
  if (typeof value !== 'string' || !URL.canParse(value)) return value;
  const url = new URL(value);
  if (url.password !== '') url.password = '***';
  return url.password === '' ? value : url.href;
}

/** Settings of clients; the platform does not read them. */
const CLIENT = [
  { env: 'WAFER_URL', defaultText: 'http://127.0.0.1:7070', doc: 'Client: address of the API' },
  { env: 'WAFER_KEY', defaultText: '(admin.key in the data directory)', doc: 'Client: API key' },
] as const;

export default command({
  name: 'config',
  about: 'Prints every setting: its variable, its value, its default. Settings come from the environment only.',
  args: { ...jsonFlag },
  examples: [
    ['wafer config', 'a table'],
    ['WAFER_PORT=8080 wafer config', 'check a value before "wafer up"'],
  ],
  run: async ({ json }, { ui, env }) => {
    const platform = Object.values(SETTINGS).map((setting) => ({
      env: setting.env,
      value: hideSecret(setting.read(env[setting.env], env)),
      default: setting.defaultText,
      isSet: Boolean(env[setting.env]),
      doc: setting.doc,
    }));
    const client = CLIENT.map((setting) => ({
      env: setting.env,
      value:
        setting.env === 'WAFER_KEY' ? (env[setting.env] ? '***' : null) : (env[setting.env] ?? setting.defaultText),
      default: setting.defaultText,
      isSet: Boolean(env[setting.env]),
      doc: setting.doc,
    }));
    const rows = [...platform, ...client];
    if (json) return ui.json(rows);
    ui.table(
      [{ header: 'VARIABLE', style: 'bold' }, { header: 'VALUE' }, { header: 'SET' }, { header: 'WHAT', style: 'dim' }],
      rows.map((row) => [
        row.env,
        row.value === null ? row.default : String(row.value),
        row.isSet ? 'yes' : '',
        row.doc,
      ]),
    );
  },
});
