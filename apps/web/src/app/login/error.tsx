"use client";

export { PageError as default } from "@/components/views/PageError";
