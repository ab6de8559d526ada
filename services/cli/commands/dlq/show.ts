import get from '../invocations/get.ts';

/** `wafer invocations get` by its other name. */
export default { ...get, name: 'dlq show' };
