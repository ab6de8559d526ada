/** Fetches what its `egress` names, and says why it did not fetch anything else. */
export async function handler({ url = 'https://api.github.com/zen' } = {}) {
  try {
    const response = await fetch(url, { headers: { 'user-agent': 'wafer-example' }, redirect: 'error' });
    return { url, status: response.status, text: (await response.text()).slice(0, 200) };
  } catch (error) {
    return { url, refused: error.cause?.code ?? error.message };
  }
}
