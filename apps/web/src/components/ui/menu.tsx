"use client";

import { Check } from "lucide-react";
import { DropdownMenu as Primitive } from "radix-ui";
import type { ComponentProps } from "react";
import { cn } from "@/lib/cn";

export const Menu = Primitive.Root;
export const MenuTrigger = Primitive.Trigger;

export function MenuContent({ className, ...props }: ComponentProps<typeof Primitive.Content>) {
  return (
    <Primitive.Portal>
      <Primitive.Content
        align="end"
        sideOffset={4}
        className={cn("z-50 max-h-[min(24rem,var(--radix-dropdown-menu-content-available-height))] min-w-40 overflow-y-auto rounded-md border border-line-strong bg-panel p-1 shadow-xl", className)}
        {...props}
      />
    </Primitive.Portal>
  );
}

/** A choice that can be on or off; the menu stays open, so that several can be made. */
export function MenuCheck({ className, children, ...props }: ComponentProps<typeof Primitive.CheckboxItem>) {
  return (
    <Primitive.CheckboxItem
      onSelect={(event) => event.preventDefault()}
      className={cn("flex h-7 cursor-default items-center gap-2 rounded px-2 text-xs text-soft outline-none data-[highlighted]:bg-raised data-[highlighted]:text-text", className)}
      {...props}
    >
      <span className="flex size-3.5 items-center justify-center rounded-sm border border-line-strong">
        <Primitive.ItemIndicator>
          <Check aria-hidden className="size-3 text-brand" />
        </Primitive.ItemIndicator>
      </span>
      {children}
    </Primitive.CheckboxItem>
  );
}

export function MenuItem({ className, ...props }: ComponentProps<typeof Primitive.Item>) {
  return (
    <Primitive.Item
      className={cn("flex h-8 cursor-default items-center gap-2 rounded px-2 text-xs text-soft outline-none data-[highlighted]:bg-raised data-[highlighted]:text-text [&_svg]:size-4", className)}
      {...props}
    />
  );
}
