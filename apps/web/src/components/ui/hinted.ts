import type { PointerEvent } from "react";

/**
 * What is told when the pointer rests on an element, put together when it comes: a `title` that moves with the numbers
 * costs style and attributes with each of them, read or not.
 */
export const hinted = (hint: () => string | undefined) => ({
  onPointerEnter: ({ currentTarget }: PointerEvent<HTMLElement>) => {
    currentTarget.title = hint() ?? "";
  },
});
