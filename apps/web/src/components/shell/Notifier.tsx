"use client";

import { useQuery } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { useEffect, useRef } from "react";
import { notices, type Notice, type Picture } from "@/lib/domain/notices";
import { useText } from "@/lib/i18n/useText";
import { useConnection } from "@/lib/live/context";
import { usePrefs } from "@/lib/prefs/store";
import { livePositionsQuery, positionsQuery, statusQuery } from "@/lib/queries/live";
import { jobsQuery } from "@/lib/queries/records";

/** Tells through the browser what was asked for in the settings; pressing one leads to what it is about. */
export function Notifier() {
  const { notify } = usePrefs();
  return notify.length > 0 && typeof Notification !== "undefined" && Notification.permission === "granted" ? <Watch /> : null;
}

function Watch() {
  const { t, words } = useText();
  const router = useRouter();
  const { notify } = usePrefs();
  const { data: status } = useQuery(statusQuery);
  const { data: shadow } = useQuery(positionsQuery);
  const { data: live } = useQuery(livePositionsQuery);
  const { data: jobs } = useQuery({ ...jobsQuery, enabled: notify.includes("job") });
  const connection = useConnection();
  const before = useRef<Picture | null>(null);
  useEffect(() => {
    const now: Picture = { status, positions: shadow === undefined || live === undefined ? undefined : [...shadow, ...live], jobs, connected: connection === "open" };
    const told = before.current === null ? [] : notices(before.current, now);
    before.current = now;
    const text = (notice: Notice) => t(`notice.${notice.kind}`, { ...notice.words, ...(notice.kind === "job" && { job: words("job", notice.words.job ?? ""), status: words("jobs.status", notice.words.status ?? "") }), ...(notice.kind === "stop" && { state: words("kill", notice.words.state ?? "") }) });
    for (const notice of told) {
      if (!notify.includes(notice.kind)) continue;
      const shown = new Notification(t("brand.name"), { body: text(notice), tag: notice.tag });
      shown.onclick = () => {
        window.focus();
        router.push(notice.href);
      };
    }
  }, [connection, jobs, live, notify, router, shadow, status, t, words]);
  return null;
}
