"use client";

import { ToggleGroup } from "radix-ui";
import { cn } from "@/lib/cn";

/** One of a few choices, side by side; arrow keys move between them. */
export function Segmented<T extends string>({
  label,
  value,
  options,
  onChange,
  className,
  testId,
}: {
  label: string;
  value: T | null;
  options: readonly { value: T; text: string }[];
  onChange: (value: T) => void;
  className?: string;
  testId?: string;
}) {
  return (
    <ToggleGroup.Root
      type="single"
      aria-label={label}
      data-testid={testId}
      value={value ?? ""}
      // Pressing the chosen one again would unset it: there is always one.
      onValueChange={(next) => next !== "" && onChange(next as T)}
      className={cn("inline-flex h-6 items-stretch overflow-hidden rounded border border-line bg-panel-2", className)}
    >
      {options.map((option) => (
        <ToggleGroup.Item
          key={option.value}
          value={option.value}
          className="num px-2 text-2xs font-medium text-faint transition-colors hover:text-text data-[state=on]:bg-raised data-[state=on]:text-text"
        >
          {option.text}
        </ToggleGroup.Item>
      ))}
    </ToggleGroup.Root>
  );
}
