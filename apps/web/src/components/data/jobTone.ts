import type { Tone } from "@/components/ui/badge";
import type { Job } from "@/lib/api/schemas";

export const JOB_TONE: Record<Job["status"], Tone> = { queued: "neutral", running: "brand", succeeded: "good", failed: "bad", cancelled: "outline" };
