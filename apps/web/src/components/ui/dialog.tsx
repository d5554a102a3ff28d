"use client";

import { X } from "lucide-react";
import { Dialog as Primitive } from "radix-ui";
import { useRef, type ComponentProps, type ReactNode } from "react";
import { cn } from "@/lib/cn";

export const Dialog = Primitive.Root;
export const DialogTrigger = Primitive.Trigger;
export const DialogClose = Primitive.Close;

/** A dialog's window: titled, closed by Escape, focus kept inside and given back to what opened it. */
export function DialogContent({
  title,
  description,
  closeLabel,
  className,
  children,
  ...props
}: Omit<ComponentProps<typeof Primitive.Content>, "title"> & { title: string; description?: ReactNode; closeLabel: string }) {
  const opener = useRef<Element | null>(null);
  return (
    <Primitive.Portal>
      <Primitive.Overlay className="fixed inset-0 z-40 bg-shade" />
      <Primitive.Content
        className={cn(
          "fixed top-[12vh] left-1/2 z-50 flex max-h-[76vh] w-[min(34rem,calc(100vw-1.5rem))] -translate-x-1/2 flex-col overflow-hidden rounded-lg border border-line-strong bg-panel shadow-2xl",
          className,
        )}
        {...(description === undefined && { "aria-describedby": undefined })}
        {...props}
        onOpenAutoFocus={(event) => {
          opener.current = document.activeElement;
          props.onOpenAutoFocus?.(event);
        }}
        // Opened by a state and not by a trigger, so nobody else knows where the focus was.
        onCloseAutoFocus={(event) => {
          event.preventDefault();
          if (opener.current instanceof HTMLElement && opener.current.isConnected) opener.current.focus();
        }}
      >
        <div className="flex items-center border-b border-line px-4 py-2.5">
          <Primitive.Title className="text-sm font-semibold">{title}</Primitive.Title>
          <Primitive.Close aria-label={closeLabel} className="ml-auto rounded p-1 text-faint hover:bg-raised hover:text-text">
            <X aria-hidden className="size-4" />
          </Primitive.Close>
        </div>
        {description !== undefined && <Primitive.Description className="px-4 pt-3 text-soft">{description}</Primitive.Description>}
        {children}
      </Primitive.Content>
    </Primitive.Portal>
  );
}
