// The file puts itself beside the other globals, as `fl`: api.js says what it takes from there.
export {};
