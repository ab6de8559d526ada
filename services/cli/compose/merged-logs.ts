/** Lines of several containers in the order of their times. */
import type { ContainerLogLine } from '../../core/containers/types.ts';

interface Source {
  service: string;
  lines: AsyncGenerator<ContainerLogLine>;
}

/** Each source is in order; one line of each is held. Ends every source when it is left. */
export async function* mergedLogs(
  sources: readonly Source[],
): AsyncGenerator<{ service: string; line: ContainerLogLine }> {
  const heads = new Map<Source, ContainerLogLine>();
  const advance = async (source: Source) => {
    const { done, value } = await source.lines.next();
    if (done === true) heads.delete(source);
    else heads.set(source, value);
  };
  try {
    await Promise.all(sources.map(advance));
    while (heads.size > 0) {
      const [next] = [...heads].sort(([, a], [, b]) => a.time - b.time);
      if (next === undefined) return;
      yield { service: next[0].service, line: next[1] };
      await advance(next[0]);
    }
  } finally {
    await Promise.all(sources.map(({ lines }) => lines.return(undefined)));
  }
}
