/** Paints in the next frame, once, whatever happened until then; never while nobody looks. */

export class Painter {
  private frame = 0;

  constructor(private readonly paint: () => void) {}

  readonly schedule = (): void => {
    if (this.frame !== 0 || document.hidden) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (!document.hidden) this.paint();
    });
  };
}
