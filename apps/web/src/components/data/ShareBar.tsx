import { useText } from "@/lib/i18n/useText";

const FILLS = ["bg-brand", "bg-violet", "bg-amber", "bg-good", "bg-bad", "bg-line-strong"] as const;

/** How a whole is shared, largest first, as one bar; the shares stand beside it in words. */
export function ShareBar({ shares, testId }: { shares: readonly { name: string; share: number }[]; testId: string }) {
  const { percent } = useText();
  const words = shares.map(({ name, share }) => `${name} ${percent(share, 0)}`).join(" · ");
  return (
    <span className="inline-flex items-center gap-2" data-testid={testId}>
      <span aria-hidden title={words} className="flex h-2 w-24 shrink-0 overflow-hidden rounded-full bg-raised">
        {shares.map(({ name, share }, index) => (
          <span key={name} className={FILLS[Math.min(index, FILLS.length - 1)]} style={{ width: `${share * 100}%` }} />
        ))}
      </span>
      <span className="num text-2xs text-soft">{words}</span>
    </span>
  );
}
