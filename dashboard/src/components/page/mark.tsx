/** The logo. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
      <rect x="2" y="6" width="28" height="20" rx="4" />
      <path d="M7 11.5l9 6.5 9-6.5" />
    </svg>
  );
}
