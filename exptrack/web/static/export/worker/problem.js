/** What is wrong with a question, as the server says it: {kind, message, position} and a status. */

const STATUSES = {
    FilterError: 400,
    InvalidValueError: 400,
    NotFoundError: 404,
    RunNotFoundError: 404,
    AmbiguousRunError: 409,
    ArtifactNotFoundError: 404,
    StudyNotFoundError: 404,
    MetricNotFoundError: 404,
    NotAvailable: 501,
};

export class Problem extends Error {
    constructor(kind, message, status = STATUSES[kind] ?? 500, position = null) {
        super(message);
        this.kind = kind;
        this.status = status;
        this.position = position;
    }

    /** What an answer holds of it. */
    describe() {
        const { kind, message, position, status } = this;
        return { kind, message, position, status };
    }
}

/** Makes the error of a filter, at a place in its text. */
export const filterProblem = (message, position) => new Problem("FilterError", message, 400, position);
