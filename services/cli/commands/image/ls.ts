import images from '../images.ts';

/** `wafer images` by its long name. */
export default { ...images, name: 'image ls' };
