/** Caps on an untrusted Dockerfile and what it may blow up to. Every one has a test that feeds what it stops. */
export interface DockerfileLimits {
  /** Bytes of the whole file. */
  bytes: number;
  /** Characters of one physical line; what other builders take. */
  lineLength: number;
  lines: number;
  stages: number;
  /** Steps of one stage, those of ONBUILD too; an image has at most 128 layers anyway. */
  instructions: number;
  /** Characters of one expanded value, and of one glob or ignore pattern. Stops `${A}${A}` that doubles line by line. */
  expansion: number;
  pattern: number;
  ignorePatterns: number;
  heredocs: number;
}

export const DOCKERFILE_LIMITS: DockerfileLimits = {
  bytes: 1024 * 1024,
  lineLength: 65_535,
  lines: 20_000,
  stages: 100,
  instructions: 1_000,
  expansion: 256 * 1024,
  pattern: 1024,
  ignorePatterns: 2_000,
  heredocs: 16,
};
