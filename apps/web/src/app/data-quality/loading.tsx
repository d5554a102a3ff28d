import { PageLoading } from "@/components/views/PageLoading";

export default function Loading() {
  return <PageLoading what="nav.data_quality" />;
}
