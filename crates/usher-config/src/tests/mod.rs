mod documents;
mod golden;
mod loading;
mod schemas;
mod sections;
