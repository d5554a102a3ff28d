"use client";

import { useQuery } from "@tanstack/react-query";
import { Wrench } from "lucide-react";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { Confirm } from "@/components/data/Confirm";
import { Field } from "@/components/ui/field";
import { Select } from "@/components/ui/select";
import type { Gap } from "@/lib/api/schemas";
import { fromInput, toInput } from "@/lib/format/time";
import { useText } from "@/lib/i18n/useText";
import { useRepair } from "@/lib/queries/actions";
import { universeQuery } from "@/lib/queries/live";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Fetch a span of history again; of one gap, or of what is chosen. The job that does it is then followed. */
export function RepairButton({ gap, now }: { gap?: Gap; now?: number }) {
  const { t, zone, zoneName } = useText();
  const router = useRouter();
  const repair = useRepair();
  const { data: universe = [] } = useQuery(universeQuery);
  const [symbol, setSymbol] = useState("");
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const [start, end] = [fromInput(from, zone), fromInput(to, zone)];
  const open = () => {
    const until = gap === undefined ? (now ?? Date.now()) : Date.parse(gap.to_ts) + MINUTE_MS;
    setSymbol(gap?.symbol ?? "");
    setFrom(toInput(gap === undefined ? until - DAY_MS : Date.parse(gap.from_ts), zone));
    setTo(toInput(until, zone));
  };
  return (
    <Confirm
      needs="operator"
      name={
        <>
          <Wrench aria-hidden /> {t("repair.do")}
        </>
      }
      title={t("repair.title")}
      what={t("repair.what")}
      testId={gap === undefined ? "repair" : `repair-${gap.symbol}`}
      onOpen={open}
      ready={start !== null && end !== null && start < end}
      act={async () => {
        const job = await repair.mutateAsync({ ...(symbol !== "" && { symbol }), from: new Date(start!).toISOString(), to: new Date(end!).toISOString() });
        router.push(`/training/?job=${job.job_id}`);
      }}
    >
      <Select label={t("col.symbol")} testId="repair-symbol" value={symbol} options={[{ value: "", text: t("repair.all") }, ...universe.map((one) => ({ value: one.symbol, text: one.symbol }))]} onChange={setSymbol} />
      <Field type="datetime-local" label={`${t("range.from")} (${zoneName})`} value={from} onChange={(event) => setFrom(event.target.value)} data-testid="repair-from" />
      <Field type="datetime-local" label={`${t("range.to")} (${zoneName})`} value={to} onChange={(event) => setTo(event.target.value)} data-testid="repair-to" />
    </Confirm>
  );
}
