/** One line for people from each event of GitHub that people care about. */
const LINES = {
  push: ({ ref, pusher, commits = [], repository }) =>
    `${pusher?.name} pushed ${commits.length} commit${commits.length === 1 ? '' : 's'} to ${branch(ref)} of ${repository?.full_name}`,
  'pull_request.opened': ({ pull_request: pr, repository }) =>
    `${pr.user?.login ?? 'somebody'} wants to merge "${pr.title}" into ${repository?.full_name} (${pr.html_url})`,
  'pull_request.closed': ({ pull_request: pr }) => `"${pr.title}" was ${pr.merged ? 'merged' : 'closed'}`,
  'issues.opened': ({ issue }) => `${issue.user?.login ?? 'somebody'} reports "${issue.title}" (${issue.html_url})`,
};

const branch = (ref = '') => ref.replace(/^refs\/heads\//, '');

/**
 * `type` is event and action in one; `event` the payload, `body` its bytes, `headers` what came with it.
 * The signature was checked before this runs, and each delivery comes here once, unless somebody redelivers it.
 */
export async function handler({ type, deliveryId, event }) {
  const line = LINES[type]?.(event) ?? null;
  if (line !== null) console.log(line);
  return { type, deliveryId, line };
}
