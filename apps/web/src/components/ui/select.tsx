import { useId, type ReactNode } from "react";

/** A labelled choice; the browser's own list, which every phone and keyboard knows. */
export function Select<T extends string>({ label, value, options, onChange, testId }: { label: ReactNode; value: T; options: readonly { value: T; text: string }[]; onChange: (value: T) => void; testId: string }) {
  const id = useId();
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className="label">
        {label}
      </label>
      <select id={id} value={value} onChange={(event) => onChange(event.target.value as T)} data-testid={testId} className="h-8 w-full rounded border border-line bg-panel-2 px-2 text-xs outline-none focus-visible:border-brand">
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.text}
          </option>
        ))}
      </select>
    </div>
  );
}
