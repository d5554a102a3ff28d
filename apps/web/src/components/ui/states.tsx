import { CircleAlert, Inbox, RefreshCw } from "lucide-react";
import type { ReactNode } from "react";
import { cn } from "@/lib/cn";
import { Button } from "./button";

export function Skeleton({ className }: { className?: string }) {
  return <div aria-hidden className={cn("animate-pulse rounded bg-raised", className)} />;
}

/** The shape of what is coming, so that nothing jumps when it arrives. `label` is read out, not shown. */
export function Loading({ label, rows = 4, className }: { label: string; rows?: number; className?: string }) {
  return (
    <div role="status" aria-label={label} data-testid="state-loading" className={cn("flex flex-col gap-2.5", className)}>
      {Array.from({ length: rows }, (_, index) => (
        <Skeleton key={index} className={cn("h-4", index % 3 === 2 ? "w-3/5" : index % 3 === 1 ? "w-4/5" : "w-full")} />
      ))}
    </div>
  );
}

interface NoticeProps {
  title: string;
  children?: ReactNode;
  className?: string;
}

/** Nothing there, and what would make something be there. */
export function Empty({ title, children, className, action }: NoticeProps & { action?: ReactNode }) {
  return (
    <div data-testid="state-empty" className={cn("flex h-full min-h-20 flex-col items-center justify-center gap-1 px-4 py-3 text-center", className)}>
      <Inbox aria-hidden className="mb-0.5 size-4 text-faint" />
      <p className="font-medium text-soft">{title}</p>
      {children !== undefined && <p className="max-w-md text-xs text-faint">{children}</p>}
      {action}
    </div>
  );
}

/** It failed, what to do, and a button that does it. */
export function Failed({ title, children, className, onRetry, retryLabel }: NoticeProps & { onRetry?: () => void; retryLabel: string }) {
  return (
    <div role="alert" data-testid="state-failed" className={cn("flex h-full min-h-20 flex-col items-center justify-center gap-1 px-4 py-3 text-center", className)}>
      <CircleAlert aria-hidden className="mb-0.5 size-4 text-bad" />
      <p className="font-medium">{title}</p>
      {children !== undefined && <p className="max-w-md text-xs text-soft">{children}</p>}
      {onRetry && (
        <Button size="sm" className="mt-1.5" onClick={onRetry}>
          <RefreshCw aria-hidden /> {retryLabel}
        </Button>
      )}
    </div>
  );
}
