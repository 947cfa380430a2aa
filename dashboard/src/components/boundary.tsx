import { Component, type ComponentChildren } from "preact";
import { ProblemNote } from "./problem";

/** Keeps a fault of one screen from taking the page with it. */
export class ErrorBoundary extends Component<{ children: ComponentChildren }, { error: Error | null }> {
  override state = { error: null as Error | null };

  static override getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return <ProblemNote error={this.state.error} again={() => this.setState({ error: null })} />;
  }
}
