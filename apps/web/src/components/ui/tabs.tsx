"use client";

import { Tabs as Primitive } from "radix-ui";
import type { ReactNode } from "react";

export interface Tab<T extends string> {
  id: T;
  text: ReactNode;
  content: ReactNode;
}

/** Panes under a row of names; only the chosen one is there, so only it asks for data. */
export function Tabs<T extends string>({ label, value, tabs, onChange, testId }: { label: string; value: T; tabs: readonly Tab<T>[]; onChange: (value: T) => void; testId: string }) {
  return (
    <Primitive.Root value={value} onValueChange={(next) => onChange(next as T)} data-testid={testId} className="flex min-w-0 flex-col gap-2 sm:gap-3">
      <Primitive.List aria-label={label} className="flex gap-0.5 overflow-x-auto border-b border-line">
        {tabs.map(({ id, text }) => (
          <Primitive.Trigger key={id} value={id} data-testid={`${testId}-${id}`} className="-mb-px h-8 shrink-0 border-b-2 border-transparent px-2.5 text-xs font-medium text-soft hover:text-text data-[state=active]:border-brand data-[state=active]:text-text">
            {text}
          </Primitive.Trigger>
        ))}
      </Primitive.List>
      {tabs.map(({ id, content }) => (
        <Primitive.Content key={id} value={id} className="flex min-w-0 flex-col gap-2 sm:gap-3">
          {content}
        </Primitive.Content>
      ))}
    </Primitive.Root>
  );
}
