import { ToDashboard } from "@/components/views/ToDashboard";

export default function Page() {
  return <ToDashboard />;
}
