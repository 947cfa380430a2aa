import { Component, type ComponentChildren } from "preact";
import { ProblemNote } from "./problem";

interface Props {
  /** Identifies what is shown. When it changes, the children are rendered again. */
  place: string;
  children: ComponentChildren;
}

/** Keeps an error in one screen from breaking the whole page. */
export class ErrorBoundary extends Component<Props, { error: Error | null }> {
  override state = { error: null as Error | null };

  static override getDerivedStateFromError(error: Error) {
    return { error };
  }

  override componentDidUpdate(before: Props) {
    if (this.state.error && before.place !== this.props.place) this.setState({ error: null });
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return <ProblemNote error={this.state.error} again={() => this.setState({ error: null })} />;
  }
}
